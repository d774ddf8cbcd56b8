"""The tables at the end: the broker's figures, its peers', and how many times better or worse the broker is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

PEERS = ("Orthanc", "wlmscpfs", "storescp", "pynetdicom")
OWN = ("radbroker", "")
_RATES = ("/s", "MB/s")


@dataclass(frozen=True, slots=True)
class Row:
    """One work: median *values* in *unit* by (name, dress) of the server, the *best* of each; *missing* peers."""

    name: str
    unit: str
    values: Mapping[tuple[str, str], float]
    best: Mapping[tuple[str, str], float]
    missing: Mapping[str, None]
    goal: str

    @property
    def told(self) -> str:
        """The broker's own figures: the median, and the best."""
        return f"{_number(self.values[OWN])} (best {_number(self.best[OWN])}) {self.unit}"


def render(rows: Sequence[Row], dress: str, *, is_best: bool = False) -> str:
    """Write a Markdown table of the peers in one dress: medians, or the best of each."""
    lines = [["", "unit", "radbroker", *PEERS, "goal"]]
    for row in rows:
        values = row.best if is_best else row.values
        cells = [_cell(row, values, peer, dress) for peer in PEERS]
        lines.append([row.name, row.unit, _number(values[OWN]), *cells, row.goal])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    written = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    ]
    written.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(written)


def _cell(row: Row, values: Mapping[tuple[str, str], float], peer: str, dress: str) -> str:
    """Give the peer's figure, and how many times better the broker is: more than 1 is better."""
    if peer in row.missing:
        return "not installed"
    value = values.get((peer, dress))
    if value is None:
        return ""
    ratio = values[OWN] / value if row.unit in _RATES else value / values[OWN]
    return f"{_number(value)} ({_number(ratio)} x)"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
