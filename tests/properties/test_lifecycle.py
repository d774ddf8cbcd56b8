"""Whatever is asked and whatever happens, in any order: a step goes where the table says, and its order follows."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.booking import decide
from broker.domain.lifecycle import FINAL, NEXT, Happening, advance, order_status, with_steps
from broker.domain.order import Number, Order, OrderStatus, Step, StepStatus
from broker.domain.request import OrderRequest, StepRequest

NOW = datetime(2026, 4, 1, tzinfo=UTC)
EMPTY = Order(id="1", facility="H", patient_ref="p", created_at=NOW, updated_at=NOW)
FACTS = (Happening.START, Happening.COMPLETE, Happening.DISCONTINUE, Happening.ABANDON)
CONTROLS = {"create": "NW", "update": "XO", "cancel": "CA", "hold": "HD", "release": "RL", "status": "SC"}
SAID = st.sampled_from([None, *StepStatus])


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    """Make what a sender may ask: of all steps, of some by name, of one by its status."""
    action = draw(st.sampled_from(sorted(CONTROLS)))
    names = draw(st.lists(st.sampled_from(["S1", "S2", "S3", ""]), max_size=3, unique=True))
    steps = tuple(
        StepRequest(procedure_id="R1", step_id=name, study_uid="1.2", modality="CT", status=draw(SAID))
        for name in names
    )
    number = Number(number="F1")
    return OrderRequest(
        action=action, control=CONTROLS[action], facility="H", filler=number, accession="A1", steps=steps
    )


FIRST = requests().filter(lambda request: request.action == "create" and bool(request.steps))
THINGS = st.lists(requests() | st.tuples(st.sampled_from(FACTS), st.integers(0, 2)), max_size=8)


def happen(order: Order, what: OrderRequest | tuple[Happening, int]) -> Order:
    """Let a sender ask, or a scanner report of one step."""
    if isinstance(what, OrderRequest):
        return decide(order, what, EMPTY, NOW).order
    happening, index = what
    steps = list(order.steps)
    if index < len(steps):
        steps[index] = advance(steps[index], happening, NOW) or steps[index]
    return with_steps(order, tuple(steps), NOW)


def may_become(before: Step, after: Step) -> bool:
    """Say whether the table leads from the one to the other.

    A release leads back to what was held; a message that reinstates a step may say its status too.
    """
    ways = NEXT[before.status]
    found = {before.status, *ways.values()}
    if Happening.RELEASE in ways:
        found |= {before.held_status}
    if Happening.REINSTATE in ways:
        found |= set(NEXT[ways[Happening.REINSTATE]].values())
    return after.status in found


@settings(max_examples=200, deadline=None)
@given(FIRST, THINGS)
def test_no_step_leaves_the_table_and_the_order_follows_its_steps(first: OrderRequest, things: list[object]) -> None:
    order = decide(None, first, EMPTY, NOW).order
    for what in things:
        before, order = order, happen(order, what)  # type: ignore[arg-type]

        assert len(order.steps) >= len(before.steps)
        for old, new in zip(before.steps, order.steps, strict=False):
            assert may_become(old, new), (old.status, what, new.status)
            assert (old.status is StepStatus.COMPLETED) <= (new.status is StepStatus.COMPLETED)
        assert order.status == order_status(order.steps)


@settings(max_examples=200, deadline=None)
@given(FIRST, THINGS)
def test_a_wish_never_ends_or_hides_a_step_that_has_begun(first: OrderRequest, things: list[object]) -> None:
    order = decide(None, first, EMPTY, NOW).order
    for what in things:
        before, order = order, happen(order, what)  # type: ignore[arg-type]
        if isinstance(what, OrderRequest) and not any(step.status for step in what.steps):
            for old, new in zip(before.steps, order.steps, strict=False):
                assert old.status is not StepStatus.STARTED or new.status is StepStatus.STARTED


@given(st.lists(st.sampled_from(StepStatus), max_size=4))
def test_the_state_of_an_order_is_what_the_contract_says_of_its_steps(statuses: list[StepStatus]) -> None:
    steps = [Step(step_id=str(n), procedure_id="R1", status=status) for n, status in enumerate(statuses)]
    found = order_status(steps)
    ended = bool(statuses) and set(statuses) <= FINAL
    assert (found is OrderStatus.IN_PROGRESS) == (StepStatus.STARTED in statuses)
    assert (found is OrderStatus.COMPLETED) == (ended and StepStatus.COMPLETED in statuses)
    assert (found in (OrderStatus.DISCONTINUED, OrderStatus.CANCELLED)) == (
        ended and StepStatus.COMPLETED not in statuses
    )
