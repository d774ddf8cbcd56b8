"""Whatever changes come to an order: no step is lost or doubled, and the same change again changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.booking import decide
from broker.domain.lifecycle import Happening, advance, with_steps
from broker.domain.order import Number, Order
from broker.domain.request import OrderRequest, StepRequest

NOW = datetime(2026, 4, 1, tzinfo=UTC)
EMPTY = Order(id="1", facility="H", patient_ref="p", created_at=NOW, updated_at=NOW)

EXAMS = ("Head", "Neck", "Chest")


@st.composite
def requests(draw: st.DrawFn) -> OrderRequest:
    """Make what a mapping makes of a sender who names procedures, steps, both or neither: numbers stand in, and are numbered."""
    filler = draw(st.sampled_from(["F1", "F2"]))
    accession = draw(st.sampled_from(["A1", filler]))
    has_procedures, has_steps = draw(st.booleans()), draw(st.booleans())
    exams = draw(st.lists(st.sampled_from(EXAMS), max_size=3, unique=True))
    steps: list[StepRequest] = []
    for n, exam in enumerate(exams, 1):
        procedure_id = "R1" if has_procedures else accession
        derived = procedure_id if len(exams) == 1 else f"{procedure_id}-{n}"
        steps.append(
            StepRequest(
                procedure_id=procedure_id,
                step_id=f"S{EXAMS.index(exam)}" if has_steps else derived,
                study_uid=draw(st.sampled_from(["2.25.7", "1.2.3"])),
                modality="CT",
                start=draw(st.sampled_from([None, "20260401101500", "20260402101500"])),
                filler=Number(number=filler),
                attributes={"ScheduledProcedureStepDescription": exam},
            )
        )
    number = Number(number=filler)
    return OrderRequest(
        action="update", control="XO", facility="H", filler=number, accession=accession, steps=tuple(steps)
    )


REQUESTS = requests()


@given(st.lists(REQUESTS, min_size=1, max_size=4))
def test_changes_lose_and_double_nothing(requests: list[OrderRequest]) -> None:
    order = decide(None, requests[0], EMPTY, NOW).order
    for request in requests[1:]:
        before = order
        order = decide(before, request, EMPTY, NOW).order

        keys = [step.key for step in order.steps]
        assert len(keys) == len(set(keys))
        assert len(before.steps) <= len(order.steps) <= len(before.steps) + len(request.steps)
        assert {step.procedure_id for step in order.steps} <= {p.procedure_id for p in order.procedures}


@given(REQUESTS, REQUESTS)
def test_the_same_change_again_changes_nothing(first: OrderRequest, second: OrderRequest) -> None:
    once = decide(decide(None, first, EMPTY, NOW).order, second, EMPTY, NOW).order

    again = decide(once, second, EMPTY, NOW)

    assert again.order == once


@given(REQUESTS, REQUESTS, st.sampled_from([Happening.START, Happening.COMPLETE]))
def test_a_change_leaves_steps_alone_that_have_begun(
    first: OrderRequest, second: OrderRequest, happening: Happening
) -> None:
    order = decide(None, first, EMPTY, NOW).order
    begun = tuple(advance(step, happening, NOW) or step for step in order.steps)
    order = with_steps(order, begun, NOW)

    changed = decide(order, second, EMPTY, NOW).order

    assert changed.steps[: len(begun)] == begun
