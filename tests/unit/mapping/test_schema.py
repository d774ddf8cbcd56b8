"""The JSON Schema that editors use says what the parser says, judged by an independent validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from broker.cli.schema import written
from broker.mapping.schema import mapping_schema

ROOT = Path(__file__).parents[3]
SHIPPED = [
    path
    for folder in ("mappings", "tests/mappings")
    for path in sorted((ROOT / folder).rglob("*.yaml"))
    if "schema" not in path.parts
]


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = mapping_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def faults(validator: Draft7Validator, text: str) -> list[str]:
    content: Any = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return ["/".join(map(str, fault.absolute_path)) for fault in validator.iter_errors(content)]


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_a_mapping_that_the_broker_reads_is_valid(path: Path, validator: Draft7Validator) -> None:
    assert faults(validator, path.read_text()) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("title: no name\n", ""),
        ("mapping: a\nlanguage: 2\n", "language"),
        ("mapping: a\nsett: {}\n", ""),
        ("mapping: a\nset: {PatinetID: PID-3}\n", "set"),
        ("mapping: a\nset: {PatientID: {form: PID-3}}\n", "set/PatientID"),
        ("mapping: a\nset: {PatientID: {from: PID-3, on_missing: rejct}}\n", "set/PatientID"),
        ("mapping: a\nset: {PatientID: {from: PID-3, clean: [uper]}}\n", "set/PatientID"),
        ("mapping: a\naction: {from: ORC-1, map: {NW: creat}}\n", "action"),
        ("mapping: a\nsegments: [{set: {1: x}}]\n", "segments"),
        ("mapping: a\ndeclare: {PID-4: TS}\n", "declare"),
    ],
)
def test_a_mistake_is_underlined(text: str, place: str, validator: Draft7Validator) -> None:
    assert faults(validator, text) == [place]


def test_the_schema_beside_the_mappings_is_the_one_that_the_broker_prints() -> None:
    file = ROOT / "mappings" / "schema" / "mapping-v1.json"

    assert file.read_text().rstrip("\n") == written(mapping_schema()), "run: broker schema mapping > " + file.name


@pytest.mark.parametrize("path", SHIPPED, ids=[str(path.relative_to(ROOT)) for path in SHIPPED])
def test_the_line_for_the_editor_leads_to_the_schema(path: Path) -> None:
    first = path.read_text().splitlines()[0]

    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "mappings" / "schema" / "mapping-v1.json"
