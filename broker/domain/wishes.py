"""What a sender asks or says of an order that is booked: cancel, hold, release, status (policies 3.2, 3.5).

A wish that the state table does not know has no effect and is told; a status moves a step on, never back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from broker.domain.events import EventType
from broker.domain.lifecycle import FINAL, Happening, advance, with_steps
from broker.domain.naming import is_other, is_stand_in
from broker.domain.order import Order, Step, StepStatus
from broker.domain.request import Decision, OrderRequest, Remark, StepRequest

_DONE: Mapping[Happening, tuple[EventType, str]] = {
    Happening.CANCEL: ("order.cancelled", "cancelled"),
    Happening.HOLD: ("order.held", "on hold"),
    Happening.RELEASE: ("order.released", "released"),
}

_BY_STATUS: Mapping[StepStatus, tuple[Happening, EventType, str]] = {
    StepStatus.STARTED: (Happening.START, "procedure.started", "started, says the sender"),
    StepStatus.COMPLETED: (Happening.COMPLETE, "procedure.completed", "completed, says the sender"),
    StepStatus.DISCONTINUED: (Happening.DISCONTINUE, "procedure.discontinued", "discontinued, says the sender"),
    StepStatus.CANCELED: (Happening.CANCEL, "order.cancelled", "cancelled, says the sender"),
    StepStatus.ON_HOLD: (Happening.HOLD, "order.held", "on hold, says the sender"),
    StepStatus.ARRIVED: (Happening.ARRIVE, "order.updated", "arrived"),
}


def wish(order: Order, request: OrderRequest, happening: Happening, now: datetime) -> Decision:
    """Cancel, hold or release the steps that *request* means."""
    targets = _targets(order, request, request.steps)
    if not targets:
        return Decision(order=order, remarks=(_unknown_step(request),))
    steps: list[Step] = []
    refused: list[Step] = []
    for step in order.steps:
        after = advance(step, happening, now) if step.key in targets else step
        if after is None and step.status is not StepStatus.CANCELED:
            refused.append(step)
        steps.append(after or step)
    changed = with_steps(order, tuple(steps), now)
    remarks = []
    if changed.steps != order.steps:
        kind, text = _DONE[happening]
        part = "" if len(targets) == len(order.steps) else f" (step {', '.join(sorted(t[1] for t in targets))})"
        remarks.append(Remark(type=kind, text=text + part))
    if refused and happening is Happening.CANCEL:
        changed = replace(changed, is_cancel_asked=True)
    if refused:
        remarks.append(_without_effect(request, happening, refused))
    return Decision(order=changed, remarks=tuple(remarks))


def _without_effect(request: OrderRequest, happening: Happening, refused: list[Step]) -> Remark:
    names = ", ".join(step.step_id for step in refused)
    text = f"{request.control or happening} has no effect: step {names} is {refused[0].status}"
    if happening is not Happening.CANCEL:
        return Remark(type="order.noted", text=text)
    is_running = any(step.status is StepStatus.STARTED for step in refused)
    when = "while running" if is_running else "after the end"
    return Remark(type="order.cancel_asked", text=f"cancel asked {when}: {text}", is_alarm=True)


def _unknown_step(request: OrderRequest) -> Remark:
    names = ", ".join(said.step_id for said in request.steps)
    text = f"{request.control} has no effect: the order has no step {names}"
    return Remark(type="order.noted", text=text, is_alarm=True)


def _targets(order: Order, request: OrderRequest, said: tuple[StepRequest, ...]) -> set[tuple[str, str]]:
    """Which steps are meant: those that *said* names, else those of their order number, else all.

    None where it gives a name that no step has, though each of several has a name of its own.
    """
    named = {one.key for one in said if one.step_id}
    known = {step.key for step in order.steps}
    if named & known:
        return named & known
    is_name = any(one.step_id and not _is_number(one, request) for one in said)
    if is_name and len(known) > 1 and not any(is_stand_in(order, step) for step in order.steps):
        return set()
    numbered = said or (StepRequest(step_id="", procedure_id="", placer=request.placer, filler=request.filler),)
    by_number = {step.key for step in order.steps if any(_has_number(step, one) for one in numbered)}
    return by_number or known


def _has_number(step: Step, said: StepRequest) -> bool:
    if is_other(step, said):
        return False
    return bool(said.filler and step.filler == said.filler) or bool(said.placer and step.placer == said.placer)


def _is_number(said: StepRequest, request: OrderRequest) -> bool:
    """Say whether an order number stands in for the step ID."""
    numbers = {n.number for n in (request.placer, request.filler, said.placer, said.filler) if n} | {request.accession}
    return said.step_id in numbers or said.step_id == said.procedure_id


def say_status(order: Order, request: OrderRequest, now: datetime) -> Decision:
    """Apply what a message says of the steps' status (SC): it may move a step on, never back."""
    steps = {step.key: step for step in order.steps}
    remarks: dict[str, Remark] = {}
    for said in request.steps:
        if said.status is None or said.status not in _BY_STATUS:
            continue
        happening, kind, text = _BY_STATUS[said.status]
        targets = [steps[key] for key in _targets(order, request, (said,)) if steps[key].status not in FINAL]
        moved = [after for step in targets if (after := advance(step, happening, now)) and after != step]
        steps |= {step.key: step for step in moved}
        if moved:
            remarks[text] = Remark(type=kind, text=text)
        else:
            text = f"{request.control} {said.status} has no effect: the order is {order.status}"
            remarks[text] = Remark(type="order.noted", text=text)
    if not remarks:
        text = f"{request.control} without a status that changes anything"
        return Decision(order=order, remarks=(Remark(type="order.noted", text=text),))
    changed = tuple(steps.values())
    order = order if changed == order.steps else with_steps(order, changed, now)
    return Decision(order=order, remarks=tuple(remarks.values()))
