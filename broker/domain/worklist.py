"""One line of a scanner's worklist, who asks for it, and whether it is listed at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from broker.domain.order import Item, StepStatus

LISTED = frozenset({StepStatus.SCHEDULED, StepStatus.ARRIVED, StepStatus.READY, StepStatus.STARTED})
"""States in which a step is on worklists."""

_WHY_HIDDEN = {
    StepStatus.DEPARTED: "the patient has departed",
    StepStatus.COMPLETED: "the step is completed",
    StepStatus.DISCONTINUED: "the step was discontinued and waits for a decision",
    StepStatus.CANCELED: "the step is cancelled",
    StepStatus.ON_HOLD: "the order is on hold",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorklistEntry:
    """A scheduled step as scanners see it. *key* changes when anything in it changes: caches are keyed by it.

    *item* is the whole worklist item, with a Scheduled Procedure Step Sequence of one item; *start* is local,
    YYYYMMDDHHMMSS. Texts are trimmed. Patient identifiers of old are in its Other Patient IDs (0010,1000) or (0010,1002).
    """

    key: str
    item: Item
    status: StepStatus
    stations: tuple[str, ...] = ()
    modality: str = ""
    start: str = ""
    order_id: str = ""
    is_start_known: bool = True
    completed_at: datetime | None = None

    @property
    def step(self) -> Item:
        """The item of the Scheduled Procedure Step Sequence."""
        steps = self.item.get("ScheduledProcedureStepSequence")
        return steps[0] if steps else {}

    @property
    def wire_status(self) -> str:
        """The status in a word of the standard (PS3.3 C.4.10): a step that was performed has been STARTED."""
        if self.status in (StepStatus.COMPLETED, StepStatus.DISCONTINUED):
            return StepStatus.STARTED.value
        if self.status in (StepStatus.CANCELED, StepStatus.ON_HOLD):
            return StepStatus.SCHEDULED.value
        return self.status.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: the calling AE title with its node's settings, and the modalities of every AE title that has some.

    An AE title without any in *modalities* counts as every modality.
    """

    ae: str
    modalities: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hide_started: bool = False
    completed_visible: timedelta = timedelta(0)

    def fits(self, ae: str, modality: str) -> bool:
        """Say whether the scanner *ae* may do steps of *modality*."""
        own = self.modalities.get(ae)
        return not own or modality in own


def visible(entry: WorklistEntry, caller: Caller, now: datetime) -> bool:
    """Say whether *entry* is listed for *caller* at all, whatever the query (policy: worklist 1; mapping 4)."""
    return why_hidden(entry, caller, now) is None


def why_hidden(entry: WorklistEntry, caller: Caller, now: datetime) -> str | None:
    """Say in words why *entry* is listed for no query of *caller* at the aware time *now*, or None when it is."""
    if not entry.stations and not entry.modality:
        return "it has neither a station nor a modality: assign one"
    if entry.status is StepStatus.STARTED and caller.hide_started:
        return f"the step has been started, and {caller.ae} hides started steps"
    if entry.status in LISTED or _is_just_completed(entry, caller, now):
        return None
    return _WHY_HIDDEN[entry.status]


def _is_just_completed(entry: WorklistEntry, caller: Caller, now: datetime) -> bool:
    return (
        entry.status is StepStatus.COMPLETED
        and entry.completed_at is not None
        and now - entry.completed_at < caller.completed_visible
    )
