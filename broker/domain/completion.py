"""Is a study complete, and how do we know: evidence from MPPS first, else quiet time (policies 7)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from broker.domain.lifecycle import FINAL
from broker.domain.order import Step
from broker.domain.performed import PerformedStep
from broker.domain.study import Study

Evidence = Literal["", "mpps", "quiet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Whether a study is complete, by what evidence, and if not, what it waits for.

    *wait_until* is when to ask again; None: when the next MPPS or object comes. *missing* are the SOP Instance UIDs
    that an MPPS names and that are not here.
    """

    is_complete: bool
    evidence: Evidence = ""
    wait_until: datetime | None = None
    missing: tuple[str, ...] = ()
    text: str


def evaluate(
    study: Study,
    performed: Sequence[PerformedStep],
    steps: Sequence[Step],
    instances: Collection[str],
    *,
    quiet: timedelta,
    now: datetime,
) -> Completion:
    """Say whether *study* is complete at *now*.

    *performed*: the MPPS linked to the study or its orders. *steps*: those of the procedures with its Study UID.
    *instances*: the SOP Instance UIDs that have arrived, of whatever study the MPPS may name. *quiet*: see
    `modalities.quiet_period`; it decides only when no MPPS is open and none names an instance.
    """
    running = [one for one in performed if not one.is_final]
    if running:
        return Completion(is_complete=False, text=f"{len(running)} performed procedure steps are in progress")
    named = dict.fromkeys(uid for one in performed for uid in one.instances)
    if named:
        return _by_performed(named, steps, instances)
    silent_since = max([study.last_at, *(one.updated_at for one in performed)])
    due = silent_since + quiet
    if now < due:
        return Completion(is_complete=False, wait_until=due, text=f"Waits for {_minutes(quiet)} without a new object")
    return Completion(is_complete=True, evidence="quiet", text=f"No new object for {_minutes(quiet)}")


def _by_performed(named: Collection[str], steps: Sequence[Step], instances: Collection[str]) -> Completion:
    missing = tuple(uid for uid in named if uid not in instances)
    if missing:
        text = f"{len(missing)} of {len(named)} objects that the MPPS names have not arrived"
        return Completion(is_complete=False, missing=missing, text=text)
    waiting = [step.step_id for step in steps if step.status not in FINAL]
    if waiting:
        return Completion(is_complete=False, text=f"Not ended yet: step {', '.join(waiting)}")
    text = f"All performed procedure steps have ended and their {len(named)} objects are here"
    return Completion(is_complete=True, evidence="mpps", text=text)


def _minutes(period: timedelta) -> str:
    seconds = period.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
