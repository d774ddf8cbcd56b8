from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from broker.domain.completion import evaluate
from broker.domain.modalities import quiet_period
from broker.domain.order import Identity, Step, StepStatus
from broker.domain.performed import PerformedStep
from broker.domain.study import Study

NOW = datetime(2026, 4, 1, 8, 0, tzinfo=UTC)
NOBODY = Identity(patient_id="")
STUDY = Study(uid="1.2", ae="CT1", patient=NOBODY, first_at=NOW, last_at=NOW)
QUIET = timedelta(minutes=10)


def mpps(*instances: str, status: str = "COMPLETED", ended: datetime = NOW) -> PerformedStep:
    return PerformedStep(
        uid="1.9", ae="CT1", status=status, patient=NOBODY, instances=instances, created_at=NOW, updated_at=ended
    )


def step(status: StepStatus) -> Step:
    return Step(step_id="SP1", procedure_id="RP1", status=status)


def at(minutes: float, *performed: PerformedStep, steps: tuple[Step, ...] = (), here: tuple[str, ...] = ()) -> Any:
    now = NOW + timedelta(minutes=minutes)
    return evaluate(STUDY, performed, steps, frozenset(here), quiet=QUIET, now=now)


def test_all_that_the_mpps_names_is_here() -> None:
    answer = at(0, mpps("a", "b"), steps=(step(StepStatus.COMPLETED),), here=("a", "b", "c"))
    assert (answer.is_complete, answer.evidence) == (True, "mpps")


def test_what_an_mpps_names_and_is_not_here_is_waited_for_without_end() -> None:
    answer = at(600, mpps("a", "b"), here=("a",))
    assert (answer.is_complete, answer.missing, answer.wait_until) == (False, ("b",), None)


@pytest.mark.parametrize("performed", [(mpps("a"), mpps(status="IN PROGRESS")), (mpps(status="IN PROGRESS"),)])
def test_an_open_mpps_keeps_the_study_open(performed: tuple[PerformedStep, ...]) -> None:
    answer = at(600, *performed, here=("a",))
    assert (answer.is_complete, answer.wait_until) == (False, None)


@pytest.mark.parametrize(
    ("status", "is_complete"),
    [
        (StepStatus.SCHEDULED, False),
        (StepStatus.STARTED, False),
        (StepStatus.ON_HOLD, False),
        (StepStatus.COMPLETED, True),
        (StepStatus.DISCONTINUED, True),
        (StepStatus.CANCELED, True),
    ],
)
def test_every_step_of_the_procedure_must_have_ended(status: StepStatus, is_complete: bool) -> None:
    answer = at(0, mpps("a"), steps=(step(StepStatus.COMPLETED), step(status)), here=("a",))
    assert answer.is_complete is is_complete


def test_an_abandoned_step_beside_a_completed_one_adds_nothing_to_wait_for() -> None:
    assert at(0, mpps("a"), mpps(status="DISCONTINUED"), here=("a",)).evidence == "mpps"


def test_without_mpps_quiet_time_decides() -> None:
    early, late = at(9), at(10)
    assert (early.is_complete, early.wait_until) == (False, NOW + QUIET)
    assert (late.is_complete, late.evidence, late.wait_until) == (True, "quiet", None)


def test_an_mpps_that_names_nothing_leaves_it_to_quiet_time_after_its_end() -> None:
    silent = mpps(ended=NOW + timedelta(minutes=5))
    assert at(12, silent).wait_until == NOW + timedelta(minutes=15)
    assert at(15, silent).evidence == "quiet"


def test_a_new_object_starts_the_quiet_time_again() -> None:
    study = replace(STUDY, last_at=NOW + timedelta(minutes=8))
    answer = evaluate(study, (), (), frozenset(), quiet=QUIET, now=NOW + timedelta(minutes=12))
    assert answer.wait_until == NOW + timedelta(minutes=18)


@pytest.mark.parametrize(
    ("modality", "configured", "minutes"),
    [("MR", None, 20), ("US", None, 15), ("CT", None, 10), ("", None, 10), ("MR", timedelta(minutes=1), 1)],
)
def test_the_quiet_period_goes_by_modality(modality: str, configured: timedelta | None, minutes: int) -> None:
    assert quiet_period(modality, configured) == timedelta(minutes=minutes)
