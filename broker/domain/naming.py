"""Which step of an order a message means when it does not name it as the order does (policies 3.1).

Where a message has no step ID or requested procedure ID, its order numbers stand in for them (policies 2.3, 2.6). A change
often says less than the new order did, or more: the exam must not come to stand on the list twice because of that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from broker.domain.facts import code, text
from broker.domain.lifecycle import NEXT, Happening
from broker.domain.order import Item, Order, Procedure, Step
from broker.domain.request import OrderRequest, StepRequest
from broker.domain.text import fold

ID_LENGTH = 16
"""Characters of an SH; a longer number stands in with its last ones."""

_DERIVED_UID = "2.25."
"""Root of the Study UIDs that are derived where a message has none (PS3.5 B.2)."""

_NUMBERED = re.compile(r"(.+)-\d{1,3}")

Judge = Callable[[Step, StepRequest], bool]


def settle(order: Order, request: OrderRequest) -> tuple[Order, OrderRequest]:
    """Give *request* with its steps named as *order* has them; and *order*, where real names take the place of stand-ins.

    A step that is new to the order and has no name gets one that no other step has.
    """
    numbers = _numbers(order, request)
    steps = {step.key: step for step in order.steps}
    left = [n for n, said in enumerate(request.steps) if said.step_id and not _is_named(steps, said, numbers)]
    if not left:
        return order, request
    taken = {said.key for n, said in enumerate(request.steps) if n not in left}
    open_steps = [step for step in order.steps if step.key not in taken]
    found: dict[int, list[StepRequest]] = {n: [said] for n, said in enumerate(request.steps)}
    nameless = [n for n in left if _is_nameless(order, request, request.steps[n], numbers)]
    for n in left:
        if n not in nameless:
            order, found[n] = _adopt(order, request.steps[n], open_steps, numbers)
    for n, said in _paired(request, nameless, open_steps, len(order.steps)):
        found[n] = [said]
        nameless.remove(n)
    for n in nameless:
        said = request.steps[n]
        fitting = [step for step in open_steps if not is_other(step, said)]
        if fitting and not any(_label(said.attributes)):
            found[n] = [_named(said, step) for step in fitting]
        else:
            found[n] = [_new(order, said, [s for ones in found.values() for s in ones if s is not said], numbers)]
    return order, replace(request, steps=tuple(said for ones in found.values() for said in ones))


def is_stand_in(order: Order, step: Step) -> bool:
    """Say whether the step ID is one of the order's numbers, because no message has given it another."""
    return _is_tail_of(_bare(step.step_id), {*_own_numbers(order), step.procedure_id})


def is_own_uid(study_uid: str) -> bool:
    """Say whether the sender has given a Study UID, so far as one can see it."""
    return bool(study_uid) and not study_uid.startswith(_DERIVED_UID)


def is_other(step: Step, said: StepRequest) -> bool:
    """Say whether the order numbers contradict: filler numbers where both are known, else placer numbers."""
    if step.filler and said.filler:
        return step.filler != said.filler
    return bool(step.placer and said.placer and step.placer != said.placer)


def _numbers(order: Order, request: OrderRequest) -> set[str]:
    said = [request.placer, request.filler, *(s.placer for s in request.steps), *(s.filler for s in request.steps)]
    return {*_own_numbers(order), request.accession, *(n.number for n in said if n is not None)} - {""}


def _own_numbers(order: Order) -> set[str]:
    return {order.accession, *(number[3] for number in order.numbers)} - {""}


def _bare(step_id: str) -> str:
    """Leave out the number that steps get which would have one ID (policies 2.6)."""
    found = _NUMBERED.fullmatch(step_id)
    return found[1] if found else step_id


def _is_tail_of(identifier: str, numbers: Collection[str]) -> bool:
    return any(n == identifier or (len(identifier) > 8 and n.endswith(identifier)) for n in numbers)


def _is_named(steps: Mapping[tuple[str, str], Step], said: StepRequest, numbers: set[str]) -> bool:
    """Say whether the order has that step; a stand-in under another order number means another one."""
    step = steps.get(said.key)
    if step is None:
        return False
    return not (_is_tail_of(said.step_id, numbers) and is_other(step, said))


def _is_nameless(order: Order, request: OrderRequest, said: StepRequest, numbers: set[str]) -> bool:
    """Say whether *said* has a stand-in for its step ID, of a procedure that is known or has a stand-in too.

    With a number behind it only where the message has the whole series: others may be the sender's own.
    """
    if order.procedure(said.procedure_id) is None and not _is_tail_of(said.procedure_id, numbers):
        return False
    possible = {*numbers, said.procedure_id}
    if _is_tail_of(said.step_id, possible):
        return True
    base = _bare(said.step_id)
    return (
        base != said.step_id
        and _is_tail_of(base, possible)
        and any(other.step_id == f"{base}-1" for other in request.steps)
        and any(other.step_id == f"{base}-2" for other in request.steps)
    )


def _label(item: Item) -> tuple[str, str]:
    value = code(item, "ScheduledProtocolCodeSequence")[0]
    return value, fold(text(item, "ScheduledProcedureStepDescription"))


def _is_alike(step: Step, said: StepRequest) -> bool:
    return any(a == b != "" for a, b in zip(_label(step.attributes), _label(said.attributes), strict=True))


def _is_unlike(step: Step, said: StepRequest) -> bool:
    pairs = zip(_label(step.attributes), _label(said.attributes), strict=True)
    return any(a and b for a, b in pairs) and not _is_alike(step, said)


def _is_same_number(step: Step, said: StepRequest) -> bool:
    return bool(step.filler and step.filler == said.filler)


def _is_any(step: Step, said: StepRequest) -> bool:
    return True


def _paired(
    request: OrderRequest, nameless: Sequence[int], open_steps: list[Step], count: int
) -> list[tuple[int, StepRequest]]:
    """Find for each nameless step request the step that it means: by what is done, by number, or because none other is left.

    *open_steps* loses what is found. A message with fewer steps than the order's *count* leaves the last way closed.
    """
    pairs: list[tuple[int, StepRequest]] = []
    left = list(nameless)
    judges: tuple[Judge, ...] = (_is_alike, _is_same_number, _is_any)
    for judge in judges if len(request.steps) >= count else judges[:2]:
        for n in list(left):
            said = request.steps[n]
            fitting = [step for step in open_steps if not is_other(step, said) and judge(step, said)]
            if len(fitting) == 1 or (fitting and judge is _is_any):
                pairs.append((n, _named(said, fitting[0])))
                open_steps.remove(fitting[0])
                left.remove(n)
    return pairs


def _named(said: StepRequest, step: Step) -> StepRequest:
    return replace(said, procedure_id=step.procedure_id, step_id=step.step_id)


def _adopt(
    order: Order, said: StepRequest, open_steps: list[Step], numbers: set[str]
) -> tuple[Order, list[StepRequest]]:
    """Give a step that had a stand-in the names that have come; one that may not be renamed keeps its own."""
    fitting = [step for step in open_steps if _may_be_called(order, step, said, numbers)]
    if len(fitting) != 1:
        return order, [_in_procedure(order, said, numbers)]
    step = fitting[0]
    open_steps.remove(step)
    named = _named(said, step)
    if _is_tail_of(said.procedure_id, numbers):
        said = replace(said, procedure_id=step.procedure_id)
    if Happening.UPDATE not in NEXT[step.status] or any(one.key == said.key for one in order.steps):
        return order, [named]
    renamed = replace(step, step_id=said.step_id, procedure_id=said.procedure_id)
    steps = tuple(renamed if one is step else one for one in order.steps)
    return replace(order, steps=steps, procedures=_procedures(order, steps, step.procedure_id, said)), [said]


def _may_be_called(order: Order, step: Step, said: StepRequest, numbers: set[str]) -> bool:
    """Say whether *step* may have the names that *said* has: wherever they differ, one of them is a stand-in."""
    if is_other(step, said):
        return False
    is_procedure_free = step.procedure_id == said.procedure_id or any(
        _is_tail_of(one.procedure_id, numbers) for one in (step, said)
    )
    if step.step_id == said.step_id:
        return is_procedure_free
    is_name_new = is_stand_in(order, step) and not _is_tail_of(_bare(said.step_id), numbers)
    return is_procedure_free and is_name_new and not _is_unlike(step, said)


def _procedures(order: Order, steps: Sequence[Step], old_id: str, said: StepRequest) -> tuple[Procedure, ...]:
    """Rename a procedure; while others of its steps keep the old name there are two, of which the first has the Study UID."""
    old = order.procedure(old_id)
    if old is None or order.procedure(said.procedure_id) is not None:
        return order.procedures
    is_uid_taken = any(p.study_uid == old.study_uid for p in order.procedures if p is not old)
    new = replace(old, procedure_id=said.procedure_id, study_uid="" if is_uid_taken else old.study_uid)
    is_old_used = any(step.procedure_id == old_id for step in steps)
    rest = tuple(p for p in order.procedures if p is not old or is_old_used)
    return (*rest, new)


def _in_procedure(order: Order, said: StepRequest, numbers: set[str]) -> StepRequest:
    """Put a further step without a requested procedure ID into the order's procedure, by its Study UID if it has one."""
    if not _is_tail_of(said.procedure_id, numbers):
        return said
    procedures = {p.procedure_id: p for p in order.procedures}
    procedure_id = said.procedure_id
    if procedure_id not in procedures and len(procedures) == 1:
        (procedure_id,) = procedures
    if is_own_uid(said.study_uid):
        of_study = [p.procedure_id for p in order.procedures if p.study_uid == said.study_uid]
        is_other_study = procedure_id in procedures and procedures[procedure_id].study_uid not in ("", said.study_uid)
        if of_study:
            procedure_id = of_study[0]
        elif is_other_study:
            procedure_id = _unused(said.procedure_id, procedures)
    return replace(said, procedure_id=procedure_id)


def _new(order: Order, said: StepRequest, others: Sequence[StepRequest], numbers: set[str]) -> StepRequest:
    """Give a further step an ID of its own."""
    said = _in_procedure(order, said, numbers)
    keys = {*(step.key for step in order.steps), *(other.key for other in others)}
    step_ids = {step_id for procedure_id, step_id in keys if procedure_id == said.procedure_id}
    return replace(said, step_id=_unused(said.step_id, step_ids))


def _unused(identifier: str, used: Collection[str]) -> str:
    number, made = 1, identifier
    while made in used:
        number += 1
        suffix = f"-{number}"
        made = identifier[-(ID_LENGTH - len(suffix)) :] + suffix
    return made
