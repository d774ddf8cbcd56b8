"""The pages of docs/reference say what the broker reads by, and links between pages lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.mapping.explanations import EXPLANATIONS

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", ["mapping", "configuration", "cli"])
def test_a_page_of_the_reference_is_what_the_broker_prints(page: str) -> None:
    printed = CliRunner().invoke(broker, ["reference", page])

    written = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    assert printed.exit_code == 0
    assert written == printed.output, f"run: broker reference {page} > docs/reference/{page}.md"


def test_each_problem_has_a_place_that_broker_explain_names() -> None:
    page = (ROOT / "docs/reference/mapping.md").read_text()

    for code in EXPLANATIONS:
        told = CliRunner().invoke(broker, ["explain", code]).output
        assert f"docs/reference/mapping.md#{code.lower()}" in told
        assert f"\n### {code}\n" in page


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", page.read_text())  # what looks like a link in code is none
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name) if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}
