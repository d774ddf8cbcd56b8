"""Printing for people and programs: aligned and coloured on a terminal, plain and aligned when piped, or JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {
    **dict.fromkeys(("completed", "COMPLETED", "available", "delivered", "matched", "AA", "CA", "yes", "up"), "green"),
    **dict.fromkeys(("scheduled", "SCHEDULED", "ARRIVED", "READY", "arriving"), "cyan"),
    **dict.fromkeys(
        ("in_progress", "STARTED", "executing", "retryable", "on_hold", "ON_HOLD", "unscheduled", "released"), "yellow"
    ),
    **dict.fromkeys(("discontinued", "DISCONTINUED", "dead", "mismatched", "held", "rejected"), "red"),
    **dict.fromkeys(("AE", "AR", "CE", "CR", "no", "down"), "red"),
    **dict.fromkeys(("cancelled", "CANCELED"), "dim"),
}
_WIDE = 100_000
_WHOLE = frozenset({"START", "AT", "SINCE", "UNTIL"})
"""Columns of a table that are never broken into lines."""


def show_json(value: Any) -> None:
    """Print *value* as JSON."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show(*parts: str | tuple[str, str]) -> None:
    """Print one line of texts, each alone or with a style; states have theirs."""
    line = Text()
    for part in parts:
        text, style = part if isinstance(part, tuple) else (part, _STYLES.get(part, ""))
        line.append(clean(text), style=style)
    _print(line)


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str | None]], *, empty: str) -> None:
    """Print *rows* under *heads* in aligned columns, or the text *empty* when there are none."""
    if not rows:
        show((empty, "dim"))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=head in _WHOLE or not _console().is_terminal, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _print(table)


def clean(text: str) -> str:
    """Replace control characters, so that what a sender wrote cannot drive the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def masked(value: str | None) -> str:
    """Show the last three characters of a patient's number."""
    return f"***{value[-3:]}" if value and len(value) > 3 else "***" if value else ""


def initial(name: str | None) -> str:
    """Show the first letter of a patient's name."""
    return f"{name[0]}***" if name else ""


def moment(iso: str | None) -> str:
    """Show an ISO 8601 moment as ``2026-04-01 10:15``."""
    return iso[:16].replace("T", " ") if iso else ""


def _cell(value: str | None) -> Text:
    text = clean(value or "")
    return Text(text, style=_STYLES.get(text, ""))


def _print(what: Text | Table) -> None:
    console = _console()
    if console.is_terminal:
        console.print(what)
        return
    with console.capture() as captured:
        console.print(what)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))


@cache
def _console() -> Console:
    found = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    return (
        found if found.is_terminal else Console(width=_WIDE, highlight=False, markup=False, emoji=False, no_color=True)
    )
