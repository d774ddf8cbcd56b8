"""Verbs that ask the running broker: what they ask for, and how they show the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broker.cli.connection import Refused
from broker.cli.main import main
from broker.errors import Unreachable

Run = Callable[..., Any]

ORDER: dict[str, Any] = {
    "id": "01JD41",
    "accession": "A41",
    "accession_issuer": None,
    "placer_number": "P41",
    "filler_number": "F41",
    "status": "completed",
    "priority": "ROUTINE",
    "patient": {
        "id": "77041",
        "issuer": "GENERAL",
        "name": "Ibáñez^Núria^^Dra",
        "birth_date": "1979-03-12",
        "sex": "F",
        "other_ids": [],
    },
    "procedures": [{"id": "RP41", "study_uid": "1.2.3", "code": "CTABD", "scheme": "L", "description": "CT abdomen"}],
    "steps": [
        {
            "id": "SP41",
            "procedure_id": "RP41",
            "status": "COMPLETED",
            "modality": "CT",
            "stations": ["CT1"],
            "start": "2026-04-01T10:15:00+02:00",
            "description": None,
        }
    ],
    "performed_steps": [],
    "studies": [
        {
            "uid": "1.2.3",
            "status": "available",
            "verdict": "mismatched",
            "evidence": "mpps",
            "series": 1,
            "instances": 3,
            "findings": [{"attribute": "PatientName", "ordered": "A", "found": "B", "weight": 3}],
        }
    ],
    "deliveries": [
        {
            "id": "D1",
            "destination": "ris",
            "event": "study.available",
            "state": "retryable",
            "attempts": 2,
            "at": "2026-04-02T09:00:00.5+02:00",
            "error": "connection refused",
        }
    ],
    "timeline": [
        {
            "at": "2026-04-01T10:15:00.120000+02:00",
            "event": "order.scheduled",
            "text": "ORM^O01 NW from HIS",
            "alarm": False,
            "ref": {"message": "M1"},
        },
        {
            "at": "2026-04-01T10:46:00+02:00",
            "event": "study.mismatched",
            "text": "another \x1b[31mpatient",
            "alarm": True,
            "ref": {},
        },
    ],
}


def test_orders_are_a_table_without_patients(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders"] = 200, {"items": [ORDER], "next": "abc"}
    shown = run("orders", "--modality", "CT", "--from", "2026-04-01", "--patient-id", "77041").output
    asked = running.asked[0][0].partition("?")[2].split("&")
    assert sorted(asked) == ["from=2026-04-01", "limit=50", "modality=CT", "patient_id=77041"]
    lines = shown.splitlines()
    assert lines[0].split() == [
        "ACCESSION",
        "STATUS",
        "START",
        "MODALITY",
        "STATION",
        "PROCEDURE",
        "PATIENT",
        "NAME",
    ]
    assert lines[1] == "A41        completed  2026-04-01 10:15  CT        CT1      CT abdomen  ***041   I***"
    assert lines[2] == "more: --cursor abc"


def test_patients_are_shown_on_demand(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders"] = 200, {"items": [ORDER], "next": None}
    assert "77041    Ibáñez^Núria^^Dra" in run("orders", "--show-phi").output


def test_no_orders_is_said(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders"] = 200, {"items": [], "next": None}
    assert run("orders").output == "no orders\n"


def test_json_is_what_the_broker_answered(run: Run, running: Any) -> None:
    page = {"items": [ORDER], "next": None}
    running.answers["GET /api/v1/orders"] = 200, page
    assert json.loads(run("orders", "--json").output) == page


def test_an_order_is_shown_as_its_timeline(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders/A41"] = 200, ORDER
    assert run("order", "A41").output.splitlines() == [
        "A41  CT abdomen  completed    patient ***041 I***",
        "  STEP  STATUS     START             MODALITY  STATION",
        "  SP41  COMPLETED  2026-04-01 10:15  CT        CT1",
        "  study available  1 series, 3 objects  mismatched  1.2.3",
        "    PatientName: differs from the order (weight 3)",
        "2026-04-01",
        "10:15:00.120    order.scheduled         ORM^O01 NW from HIS  [message M1]",
        "10:46:00.000  ! study.mismatched        another  [31mpatient",
        "2026-04-02",
        "09:00:00.500    notice                  ris  study.available  retryable  attempt 2  connection refused",
    ]


def test_an_accession_number_may_hold_any_character(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders/A%2F1%20%25"] = 200, ORDER
    assert run("order", "A/1 %").exit_code == 0


def test_several_orders_with_one_accession_number_are_listed(run: Run, running: Any) -> None:
    keys = ("id", "accession", "accession_issuer", "facility", "placer_number", "filler_number", "status")
    body = {
        "error": "2 orders have accession number A1",
        "hint": "ask for one of them by its id",
        "candidates": [dict(zip(keys, ("X1", "A1", None, "N", "P", "F", "scheduled"), strict=True))],
    }
    running.answers["GET /api/v1/orders/A1"] = 409, body
    result = run("order", "A1")
    assert result.exit_code == 1
    assert result.output.splitlines()[0] == "2 orders have accession number A1; ask for one of them by its id"
    assert result.output.splitlines()[2].split() == ["X1", "A1", "N", "P", "F", "scheduled"]


def test_an_unknown_order_is_refused_in_the_brokers_words(run: Run, running: Any) -> None:
    result = run("order", "nope")
    assert isinstance(result.exception, Refused)
    assert str(result.exception) == "no /api/v1/orders/nope (look)"


def test_a_worklist_is_a_table(run: Run, running: Any) -> None:
    item = {
        "PatientID": "77041",
        "PatientName": "Ibáñez^Núria",
        "RequestedProcedureDescription": "CT abdomen",
        "ScheduledProcedureStepSequence": [
            {
                "Modality": "CT",
                "ScheduledStationAETitle": ["CT1", "CT2"],
                "ScheduledProcedureStepStartDate": "20260401",
                "ScheduledProcedureStepStartTime": "101500",
            }
        ],
    }
    entry = {"order_id": "01JD41", "accession": "A41", "step_id": "SP41", "item": item}
    running.answers["GET /api/v1/worklist"] = 200, {"ae": "CT1", "items": [entry]}
    line = run("worklist", "--ae", "CT1").output.splitlines()[1]
    assert line == "A41        SP41  2026-04-01 10:15  CT        CT1 CT2  CT abdomen  ***041   I***"


def test_why_says_each_reason(run: Run, running: Any) -> None:
    step = {"order_id": "1", "step_id": "S1", "status": "SCHEDULED", "visible": False, "reasons": ["for CT2"]}
    body = {"ae": "CT1", "accession": "A1", "visible": False, "reasons": ["for CT2"], "steps": [step]}
    running.answers["GET /api/v1/worklist/why"] = 200, body
    assert run("why", "--ae", "CT1", "--accession", "A1").output == "no  CT1 does not see A1\n  - for CT2\n"


def test_deliveries_are_listed(run: Run, running: Any) -> None:
    delivery = {
        "id": "D1",
        "destination": "ris",
        "event": "study.available",
        "state": "dead",
        "attempts": 3,
        "at": "2026-04-01T10:46:30+02:00",
        "error": "AR 201",
        "sop_uid": None,
    }
    running.answers["GET /api/v1/deliveries"] = 200, {"items": [delivery], "next": None}
    line = run("deliveries", "list", "--state", "dead").output.splitlines()[1]
    assert line == "D1  ris          study.available  dead   3         2026-04-01 10:46  AR 201"


def test_deliveries_are_retried_one_by_one(run: Run, running: Any) -> None:
    for id in ("D1", "D2"):
        answer = {"id": id, "destination": "ris", "state": "available"}
        running.answers[f"POST /api/v1/deliveries/{id}/retry"] = 200, answer
    assert run("deliveries", "retry", "D1", "D2").output == "D1  ris  available\nD2  ris  available\n"


def test_a_user_is_added_with_a_password_from_the_standard_input(run: Run, running: Any) -> None:
    running.answers["POST /api/v1/users"] = 201, {"name": "ana", "created": True}
    result = run("user", "add", "ana", "--password-stdin", input="correct horse\n")
    assert result.output == "ana: added\n"
    assert running.asked == [("POST /api/v1/users", {"name": "ana", "password": "correct horse"})]


def test_a_token_is_shown_once(run: Run, running: Any) -> None:
    answer = {"name": "ris", "token": "s3cret", "created": True, "expires_at": None}
    running.answers["POST /api/v1/tokens"] = 201, answer
    assert run("token", "add", "ris").stdout == "s3cret\n"


def test_without_a_running_broker_the_exit_code_is_69(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["orders", "--config", str(config)])
    assert exit.value.code == 69
    assert f"hint: start it: broker run --config {config}" in capsys.readouterr().err


def test_a_store_that_cannot_write_counts_as_unreachable(run: Run, running: Any) -> None:
    running.answers["POST /api/v1/users"] = 503, {"error": "the store cannot write", "hint": "free the disk"}
    result = run("user", "add", "ana", "--password-stdin", input="correct horse\n")
    assert isinstance(result.exception, Unreachable)


def test_a_wrong_configuration_is_told_with_exit_code_78(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text("sit: x\n")
    with pytest.raises(SystemExit) as exit:
        main(["orders", "--config", str(config)])
    assert exit.value.code == 78
    assert capsys.readouterr().err.startswith(f"{config}:1:1: error: unknown key 'sit'\n")


def test_a_parameter_that_the_broker_does_not_take_is_a_mistake_of_usage(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/orders"] = 400, {"error": "status cannot be 'x'", "hint": "allowed: scheduled"}
    result = run("orders", "--status", "x")
    assert (result.exit_code, "status cannot be 'x'; allowed: scheduled" in result.output) == (2, True)


def test_candidates_are_json_for_programs(run: Run, running: Any) -> None:
    body = {"error": "2 orders", "hint": "ask by id", "candidates": [{"id": "X1"}]}
    running.answers["GET /api/v1/orders/A1"] = 409, body
    result = run("order", "A1", "--json")
    assert (result.exit_code, json.loads(result.output)) == (1, body)


def test_a_refused_delivery_stops_none_of_the_others(run: Run, running: Any) -> None:
    running.answers["POST /api/v1/deliveries/D2/cancel"] = 200, {"id": "D2", "destination": "ris", "state": "cancelled"}
    running.answers["POST /api/v1/deliveries/D1/cancel"] = 409, {"error": "delivery D1: no", "hint": "so it is"}
    result = run("deliveries", "cancel", "D1", "D2")
    assert (result.exit_code, result.output) == (1, "delivery D1: no; so it is\nD2  ris  cancelled\n")


def test_a_password_is_asked_for_on_a_terminal_alone(run: Run, running: Any) -> None:
    result = run("user", "add", "ana", input="correct horse\ncorrect horse\n")
    assert (result.exit_code, running.asked) == (2, [])
    assert "--password-stdin" in result.output


STUDY: dict[str, Any] = {
    "uid": "1.2.41",
    "status": "held",
    "verdict": "mismatched",
    "evidence": None,
    "series": 1,
    "instances": 3,
    "findings": [
        {"attribute": "PatientID", "ordered": "77041", "found": "99999", "weight": 3},
        {"attribute": "StudyInstanceUID", "ordered": "1.2", "found": "1.2.41", "weight": 0},
    ],
    "ae": "CT1",
    "patient": {"id": "99999", "issuer": None, "name": "SOMEBODY^ELSE", "birth_date": None, "sex": None},
    "orders": [{"id": "01JD41", "accession": "A41"}],
    "first_at": "2026-04-01T10:15:00+02:00",
    "held_at": "2026-04-01T10:15:00+02:00",
    "release_at": "2026-04-01T10:45:00+02:00",
}


def test_held_studies_are_a_table_of_what_contradicts_since_when_and_until_when(run: Run, running: Any) -> None:
    running.answers["GET /api/v1/studies"] = 200, {"items": [STUDY], "next": "abc"}
    shown = run("studies", "list", "--state", "held").output
    assert running.asked == [("GET /api/v1/studies?state=held&limit=50", None)]
    assert shown.splitlines()[1].split() == (
        "1.2.41 held mismatched A41 CT1 3 2026-04-01 10:15 2026-04-01 10:45 ***999 S*** PatientID".split()
    )
    assert "SOMEBODY^ELSE" in run("studies", "list", "--show-phi").output
    assert json.loads(run("studies", "list", "--json").output)["items"] == [STUDY]


def test_studies_are_decided_in_the_name_of_who_is_logged_in_at_the_machine(run: Run, running: Any) -> None:
    for wish, status in (("release", "released"), ("reject", "rejected"), ("link", "released")):
        running.answers[f"POST /api/v1/studies/1.2.41/{wish}"] = 200, {**STUDY, "status": status}
    released, rejected, linked = (
        run("studies", "release", "1.2.41"),
        run("studies", "reject", "1.2.41", "--json"),
        run("studies", "link", "1.2.41", "A42"),
    )
    assert released.output == "1.2.41  released  mismatched\n"
    assert json.loads(rejected.output)[0]["status"] == "rejected"
    assert (released.exit_code, rejected.exit_code, linked.exit_code) == (0, 0, 0)
    assert all(body["by"] for _, body in running.asked)
    assert running.asked[2][1]["accession"] == "A42"


def test_one_study_that_is_refused_stops_no_other_and_ends_with_exit_code_1(run: Run, running: Any) -> None:
    running.answers["POST /api/v1/studies/1.1/release"] = 409, {"error": "it is arriving, not held", "hint": "wait"}
    running.answers["POST /api/v1/studies/1.2.41/release"] = 200, {**STUDY, "status": "released"}
    ended = run("studies", "release", "1.1", "1.2.41")
    assert ended.exit_code == 1
    assert ended.output == "it is arriving, not held; wait\n1.2.41  released  mismatched\n"


def test_a_message_is_shown_without_what_it_says_of_its_patient(run: Run, running: Any) -> None:
    message = {
        "id": "M1",
        "received_at": "2026-04-01T10:15:00+02:00",
        "sender": "HIS|GENERAL",
        "type": "ORM^O01",
        "state": "refused",
        "mapping": "ihe/orm-to-mwl@7f3c",
        "charset": "ascii",
        "raw": "MSH|^~\\&|HIS\rPID|1||77041||IBANEZ^NURIA\r",
        "answer": "MSH|^~\\&|BROKER\rMSA|AE|1\r",
        "error": "PatientID: 'IBANEZ' is too long",
        "warnings": ["'NURIA' was cut"],
        "trace": None,
    }
    running.answers["GET /api/v1/messages/M1"] = 200, message

    masked, whole = run("messages", "show", "M1"), run("messages", "show", "M1", "--show-phi")

    assert [asked for asked, _ in running.asked] == ["GET /api/v1/messages/M1?mask=true", "GET /api/v1/messages/M1"]
    assert "IBANEZ" in whole.output
    assert "NURIA" in whole.output
    for secret in ("IBANEZ", "NURIA", "77041"):
        assert secret not in masked.output
    assert "PatientID: '***' is too long" in masked.output
    assert "no trace: that version is not kept any more, or no broker runs" in masked.output
