"""The mappings beside this file: worked examples of the language, with their own tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.suite import TestResult, run_tests

HERE = Path(__file__).parent
SHIPPED = HERE.parents[1] / "mappings"


def load(folder: Path) -> Catalogue:
    catalogue, problems = Catalogue.load(read_mapping_files(folder))
    assert problems == []
    assert catalogue is not None
    return catalogue


@pytest.mark.parametrize("result", run_tests(load(HERE)), ids=lambda result: f"{result.mapping}: {result.name}")
def test_worked_example(result: TestResult) -> None:
    assert result.failures == ()


@pytest.mark.parametrize("result", run_tests(load(SHIPPED)), ids=lambda result: f"{result.mapping}: {result.name}")
def test_shipped_mapping(result: TestResult) -> None:
    assert result.failures == ()


def test_there_are_fourteen_worked_tests() -> None:
    assert len(run_tests(load(HERE))) == 14


@pytest.mark.parametrize(
    ("sample", "name"),
    [("north_mr.hl7", "sites/north"), ("ct_head.hl7", "ihe/orm-to-mwl"), ("two_orders.hl7", "ihe/orm-to-mwl")],
)
def test_a_message_finds_its_mapping(sample: str, name: str) -> None:
    decoded = decode((HERE / "samples" / sample).read_bytes())
    mapping = load(HERE).find(Message.parse(decoded.text, decoded.codec))
    assert mapping is not None
    assert mapping.name == name
