"""Each page of docs/how-to works as it is written: its mappings pass, its commands say what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.config.load import load

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
PAGES = sorted(HOW_TO.glob("*.md"))
LIVE = [page for page in PAGES if "```console running" in page.read_text()]

SCANNERS = "\n  nodes:\n    CT1: {modality: CT}\n    MR1: {modality: MR}\n  # nodes:"


@pytest.mark.parametrize("page", [page for page in PAGES if page not in LIVE], ids=lambda page: page.stem)
def test_a_page_works_as_it_is_written(page: Path, desk: Any, pages: Any) -> None:
    blocks = pages.fenced(page)
    assert blocks

    for block in blocks:
        desk.do(block)
        if block.name == "config/part.yaml":
            load(desk.folder / block.name, {})


def test_pages_about_a_running_broker_work_as_they_are_written(desk: Any, pages: Any) -> None:
    assert len(LIVE) == 3
    configuration = desk.folder / "config/broker.yaml"
    configuration.write_text(configuration.read_text().replace("\n  # nodes:", SCANNERS, 1))

    for page in LIVE:
        for block in pages.fenced(page):
            desk.do(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_mapping_on_a_page_is_whole_and_passes_with_the_shipped_ones(page: Path, desk: Any, pages: Any) -> None:
    for block in pages.fenced(page):
        if block.language == "yaml":
            assert block.name, f"{page.name}:{block.line}: a mapping or configuration names its file"
        if block.language in ("yaml", "csv", "edit") and block.name.startswith("mappings/"):
            desk.do(block)

    checked = CliRunner().invoke(broker, ["check"])

    assert checked.exit_code == 0, checked.output
    assert "0 error(s), 0 warning(s)" in checked.output


def test_every_page_is_in_the_index() -> None:
    folder = HOW_TO.parent
    index = (folder / "README.md").read_text()
    pages = [page.relative_to(folder).as_posix() for page in folder.rglob("*.md") if page.name != "README.md"]

    assert len(PAGES) >= 10
    assert [page for page in pages if f"({page})" not in index] == []
