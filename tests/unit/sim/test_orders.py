"""Made-up orders stay on the day that the page shows."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from broker.hl7.message import Message
from broker.sim.orders import make_name, make_order


@pytest.mark.parametrize("hour", ["00:00", "00:20", "12:00", "23:05", "23:40", "23:59"])
def test_an_order_and_its_other_time_are_of_the_day_on_which_it_is_sent(hour: str) -> None:
    now = datetime.fromisoformat(f"2026-04-01T{hour}:30").replace(tzinfo=UTC)
    for number in range(200):
        order = make_order(number, "CT", random.Random(number), now)
        moved = order.moved()
        assert order.start.date() == moved.start.date() == now.date()
        assert order.start != moved.start


def test_an_order_is_written_with_its_modality_and_its_start() -> None:
    order = make_order(41, "US", random.Random(1), datetime(2026, 4, 1, 10, tzinfo=UTC))
    message = Message.parse(order.message("XO", "C1", order.start), "utf-8")
    assert [message.value(path) for path in ("ORC-1", "OBR-24", "OBR-18")] == ["XO", "US", "A41"]
    assert message.value("ORC-7.4") == order.start.strftime("%Y%m%d%H%M%S")


def test_a_name_unlike_another_has_another_family() -> None:
    assert all(not make_name(random.Random(n), unlike="Silva^Ana").startswith("Silva^") for n in range(200))
