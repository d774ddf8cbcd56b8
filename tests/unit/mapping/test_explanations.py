"""Every problem is explained, by an example that draws it and one that does not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.mapping.catalogue import Catalogue
from broker.mapping.explanations import EXPLANATIONS, as_files

ROOT = Path(__file__).parents[3]
PARENTS = ("ihe/orm-to-mwl.yaml", "ihe/study-to-oru.yaml")


@pytest.fixture(scope="module")
def shipped() -> dict[str, bytes]:
    """What the examples rest on."""
    files = read_mapping_files(ROOT / "mappings")
    return {path: data for path, data in files.items() if path in PARENTS or not path.endswith(".yaml")}


def codes_of(files: dict[str, bytes]) -> set[str]:
    _, problems = Catalogue.load(files)
    return {problem.code for problem in problems}


@pytest.mark.parametrize("code", EXPLANATIONS)
def test_the_wrong_example_draws_the_problem_and_the_right_one_does_not(code: str, shipped: dict[str, bytes]) -> None:
    explanation = EXPLANATIONS[code]

    wrong = codes_of({**shipped, **as_files(explanation.wrong)})
    right = codes_of({**shipped, **as_files(explanation.right)})

    assert code in wrong
    assert right <= {"M062"} - {code}


def test_every_code_that_a_check_can_report_is_explained() -> None:
    text = "".join(path.read_text() for path in (ROOT / "broker" / "mapping").glob("*.py") if "explan" not in path.name)

    assert set(re.findall(r'(?:error|warning|report|_problem)\(\s*"(M\d{3})"', text)) <= set(EXPLANATIONS)
