"""Whoever follows the tutorial sees what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

TUTORIAL = Path(__file__).parents[2] / "docs/tutorial-first-mapping.md"


def test_every_step_of_the_tutorial_works_as_it_is_written(desk: Any, pages: Any) -> None:
    for block in pages.fenced(TUTORIAL):
        desk.do(block)

    assert desk.ports


def test_what_a_page_says_is_compared_line_by_line(pages: Any) -> None:
    pattern = pages.as_pattern("one\n  two ... four\n...\nlast\n")

    assert re.fullmatch(pattern, "one\n  two   three   four\nlast\n")
    assert re.fullmatch(pattern, "one\n  two and four\nmore\nand more\nlast\n")
    assert not re.fullmatch(pattern, "one\n  two four\nlast\nmore\n")
    assert not re.fullmatch(pattern, "one\nmore\n  two four\nlast\n")
