"""What was seen in a day, counted, and the table that sums it up."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from statistics import median
from typing import Literal

from broker.domain.study import Verdict

LATENCIES_KEPT = 10_000
FAULTS_SHOWN = 5

Count = Literal["sent", "scheduled", "completed", "discontinued", "cancelled", "lost"] | Verdict


class Tally:
    """Counts what the hospital itself has seen; nothing is asked of the broker's own counters."""

    def __init__(self) -> None:
        self.counts: Counter[Count] = Counter()
        self.faults = 0
        self._last_faults: deque[str] = deque(maxlen=FAULTS_SHOWN)
        self._latencies: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def scheduled(self, seconds: float) -> None:
        """Count an order that a scanner sees on its worklist, so long after the HIS sent it."""
        self.counts["scheduled"] += 1
        self._latencies.append(seconds)

    def wrong(self, text: str) -> None:
        """Count what should not have happened."""
        self.faults += 1
        self._last_faults.append(text)

    def table(self, *, seconds: float, images: int, notices: int) -> list[str]:
        """Sum up so many *seconds*; *images* and *notices* are what archive and RIS have counted."""
        c = self.counts
        left = c["sent"] - c["completed"] - c["discontinued"] - c["cancelled"] - c["lost"]
        latency = f"{median(self._latencies) * 1000:.0f} ms" if self._latencies else "none sent"
        rows: list[tuple[str, str, str | int]] = [
            ("orders", "sent by the HIS", c["sent"]),
            ("", "seen on a scanner's worklist", c["scheduled"]),
            ("", "completed", c["completed"]),
            ("", "discontinued (broken off at the scanner)", c["discontinued"]),
            ("", "cancelled by the HIS", c["cancelled"]),
            ("", "still under way at the end", left),
            ("studies", "matched with their order", c["matched"]),
            ("", "mismatched (another patient's name)", c["mismatched"]),
            ("", "unscheduled (emergencies without an order)", c["unscheduled"]),
            ("images", "in the archive", images),
            ("notices", "taken by the RIS", notices),
            ("time", "from an order to the worklist (median)", latency),
            ("went wrong", "", self.faults),
        ]
        lines = [f"ended after {_duration(seconds)}", ""]
        lines += [f"{topic:<12}{what:<46}{value:>8}" for topic, what, value in rows]
        return [*lines, *(f"  {text}" for text in self._last_faults)]


def _duration(seconds: float) -> str:
    whole = round(seconds)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s"


Tell = Callable[[str], None]
