"""The tables at the end: the broker's figures, its peers', and how many times better or worse the broker is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PEERS = ("Orthanc", "wlmscpfs", "storescp", "pynetdicom")
_RATES = ("/s", "MB/s")


@dataclass(frozen=True, slots=True)
class Row:
    """One work: *values* in *unit* by (name, dress) of the server; *best* of the broker's own; *missing* peers."""

    name: str
    unit: str
    values: Mapping[tuple[str, str], float]
    missing: Mapping[str, None]
    goal: str
    best: float

    @property
    def told(self) -> str:
        """The broker's own figure, in *unit*."""
        return _number(self.values["radbroker", ""])

    def advantage(self, peer: float) -> float:
        """Say how many times better the broker is than a peer's figure: more than 1 is better."""
        own = self.values["radbroker", ""]
        return own / peer if self.unit in _RATES else peer / own


def render(rows: Sequence[Row], dress: str) -> str:
    """Write a Markdown table of the peers in one dress."""
    lines = [["", "unit", "radbroker (best)", *PEERS, "goal"]]
    for row in rows:
        own = f"{row.told} ({_number(row.best)})"
        lines.append([row.name, row.unit, own, *(_cell(row, peer, dress) for peer in PEERS), row.goal])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def _cell(row: Row, peer: str, dress: str) -> str:
    if peer in row.missing:
        return "not installed"
    value = row.values.get((peer, dress))
    return "" if value is None else f"{_number(value)} ({_number(row.advantage(value))} x)"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
