"""The table at the end of a demo."""

from __future__ import annotations

import pytest

from broker.sim.receivers import REMEMBERED, Arrivals
from broker.sim.tally import Tally


def row(table: list[str], text: str) -> str:
    (line,) = [line for line in table if text in line]
    return line.split("  ")[-1].strip()


def test_the_table_counts_orders_that_are_left_under_way_and_the_middle_time_to_the_worklist() -> None:
    tally = Tally()
    tally.counts.update({"sent": 10, "completed": 4, "discontinued": 1, "cancelled": 2, "lost": 1})
    for seconds in (0.010, 0.030, 9.0):
        tally.scheduled(seconds)
    table = tally.table(seconds=3725, images=17, notices=5)
    assert table[0] == "ended after 1 h 2 min 5 s"
    assert row(table, "still under way") == "2"
    assert row(table, "on a scanner's worklist") == row(table, "seen on") == "3"
    assert row(table, "median") == "30 ms"
    assert row(table, "in the archive") == "17"
    assert row(table, "taken by the RIS") == "5"
    assert row(table, "went wrong") == "0"


def test_what_went_wrong_is_counted_and_the_last_of_it_told() -> None:
    tally = Tally()
    for number in range(8):
        tally.wrong(f"fault {number}")
    table = tally.table(seconds=0, images=0, notices=0)
    assert table[0] == "ended after 0 s"
    assert row(table, "went wrong") == "8"
    assert table[-5:] == [f"  fault {number}" for number in range(3, 8)]


@pytest.mark.parametrize("more", [0, 1, 50])
def test_arrivals_are_counted_once_and_remembered_for_a_while_only(more: int) -> None:
    arrivals = Arrivals()
    for number in (*range(REMEMBERED + more), REMEMBERED - 1):
        arrivals.add(str(number))
    assert arrivals.count == REMEMBERED + more
    assert arrivals.has([str(REMEMBERED - 1)])
    assert arrivals.has(["0"]) == (more == 0)
