"""The state table: step status x what is asked or happened -> step status; and what follows for the order.

A wish (update, cancel, hold ...) without an entry has no effect and is recorded; a fact without an entry (a scan of a
completed or cancelled step) is recorded and alarmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from broker.domain.order import Order, OrderStatus, Step, StepStatus


class Happening(StrEnum):
    """What can happen to a scheduled step: the first six are wishes of an order, the others facts from a scanner."""

    UPDATE = "update"
    CANCEL = "cancel"
    HOLD = "hold"
    RELEASE = "release"
    REINSTATE = "reinstate"
    ARRIVE = "arrive"
    START = "start"
    COMPLETE = "complete"
    DISCONTINUE = "discontinue"
    ABANDON = "abandon"
    """Discontinued without any object: nothing was done, so the step waits again."""


S, H = StepStatus, Happening

WAITING: Mapping[Happening, StepStatus] = {
    H.CANCEL: S.CANCELED,
    H.HOLD: S.ON_HOLD,
    H.START: S.STARTED,
    H.COMPLETE: S.COMPLETED,
    H.DISCONTINUE: S.DISCONTINUED,
    H.ARRIVE: S.ARRIVED,
}

NEXT: Mapping[StepStatus, Mapping[Happening, StepStatus]] = {
    S.SCHEDULED: {**WAITING, H.UPDATE: S.SCHEDULED, H.ABANDON: S.SCHEDULED},
    S.ARRIVED: {**WAITING, H.UPDATE: S.ARRIVED, H.ABANDON: S.ARRIVED},
    S.READY: {**WAITING, H.UPDATE: S.READY, H.ABANDON: S.READY},
    S.ON_HOLD: {
        H.UPDATE: S.ON_HOLD,
        H.RELEASE: S.SCHEDULED,
        H.CANCEL: S.CANCELED,
        H.START: S.STARTED,
        H.COMPLETE: S.COMPLETED,
        H.DISCONTINUE: S.DISCONTINUED,
    },
    S.STARTED: {
        H.START: S.STARTED,
        H.COMPLETE: S.COMPLETED,
        H.DISCONTINUE: S.DISCONTINUED,
        H.ABANDON: S.SCHEDULED,
    },
    S.DEPARTED: {H.START: S.STARTED, H.COMPLETE: S.COMPLETED, H.DISCONTINUE: S.DISCONTINUED},
    S.DISCONTINUED: {H.START: S.STARTED, H.COMPLETE: S.COMPLETED},
    S.CANCELED: {H.REINSTATE: S.SCHEDULED},
    S.COMPLETED: {},
}

FINAL = frozenset({S.COMPLETED, S.DISCONTINUED, S.CANCELED})


def advance(step: Step, happening: Happening, now: datetime) -> Step | None:
    """Give *step* after *happening*, or None when the table has no entry for it."""
    status = NEXT[step.status].get(happening)
    if status is None:
        return None
    held: StepStatus | None = None
    if happening is H.RELEASE:
        status = step.held_status or status
    elif happening is H.HOLD:
        held = step.status
    elif happening is H.UPDATE:
        held = step.held_status
    return replace(
        step,
        status=status,
        held_status=held,
        completed_at=now if status is S.COMPLETED else None,
    )


def order_status(steps: Iterable[Step]) -> OrderStatus:
    """Derive the state of an order from those of its steps."""
    found = {step.status for step in steps}
    if S.STARTED in found:
        return OrderStatus.IN_PROGRESS
    if found and found <= FINAL:
        if S.COMPLETED in found:
            return OrderStatus.COMPLETED
        return OrderStatus.DISCONTINUED if S.DISCONTINUED in found else OrderStatus.CANCELLED
    if S.ON_HOLD in found and found <= FINAL | {S.ON_HOLD}:
        return OrderStatus.ON_HOLD
    return OrderStatus.SCHEDULED


def with_steps(order: Order, steps: tuple[Step, ...], now: datetime) -> Order:
    """Give *order* with *steps* and the status that follows from them."""
    return replace(order, steps=steps, status=order_status(steps), updated_at=now)
