"""Rules over messages: missing, null, unknown and bad values; groups; refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from broker.hl7.message import Message
from broker.mapping.engine import Translation
from broker.mapping.items import PLANS_KEPT

Translate = Callable[..., Translation]
STEP = "ScheduledProcedureStepSequence"


def only(translation: Any) -> dict[str, Any]:
    assert not translation.rejections, translation.rejections
    assert len(translation.outputs) == 1
    item = translation.outputs[0].item
    assert isinstance(item, dict)
    return item


def test_missing_looks_further_null_stops_and_empties(translate: Translate) -> None:
    rules = "MedicalAlerts: OBX-5 or PID-8\nPatientState: OBX-7 or PID-8\nAllergies: OBX-7 or OBX-9"
    item = only(translate(rules, 'OBX|1|ST|||""'))
    assert item["MedicalAlerts"] == ""
    assert item["PatientState"] == "F"
    assert item["Allergies"] is None


def test_what_the_worklist_does_not_ask_for_is_left_out_when_missing(translate: Translate) -> None:
    assert "PatientAddress" not in only(translate("PatientAddress: PID-11.3"))


def test_a_deleted_field_deletes_each_of_its_components(translate: Translate) -> None:
    item = only(translate("AdmissionID: PV1-19.1\nIssuerOfPatientID: PV1-19.4.1", "PV1|" + "|" * 17 + '|""'))
    assert item["AdmissionID"] == ""
    assert item["IssuerOfPatientID"] == ""


def test_an_identifier_cannot_be_deleted(translate: Translate) -> None:
    rejection = translate("AccessionNumber: {from: OBX-5, required: true}", 'OBX|1|ST|||""').rejections[0]
    assert (rejection.target, rejection.hl7_code, rejection.location) == ("AccessionNumber", "101", "OBX^1^5^1")


@pytest.mark.parametrize(
    ("setting", "value", "warned"),
    [("empty", "", True), ("keep", "X", False), ("skip", None, True)],
)
def test_unknown_codes_follow_their_policy(translate: Translate, setting: str, value: str | None, warned: bool) -> None:
    translation = translate(f"PatientSex: {{from: OBX-5, map: {{F: F}}, on_unknown: {setting}}}", "OBX|1|ST|||X")
    assert only(translation)["PatientSex"] == value
    assert bool(translation.warnings) == warned


def test_an_unknown_code_may_refuse_the_order(translate: Translate) -> None:
    rejection = translate("PatientSex: {from: PID-8, map: {M: M}, on_unknown: reject}").rejections[0]
    assert rejection.hl7_code == "103"
    assert rejection.location == "PID^1^8^1"
    assert "'F' (from PID-8) is not in table" in rejection.text
    assert rejection.rule == "mappings/test.yaml:8:3"


def test_a_star_in_a_table_catches_the_rest(translate: Translate) -> None:
    assert only(translate("PatientSex: {from: PID-8, map: {M: M, '*': O}}"))["PatientSex"] == "O"


def test_text_that_is_too_long_is_cut_with_a_warning(translate: Translate) -> None:
    translation = translate("MedicalAlerts: OBX-5", f"OBX|1|ST|||{'x' * 70}")
    assert only(translation)["MedicalAlerts"] == "x" * 64
    assert "LO allows 64" in translation.warnings[0].text


def test_a_bad_identifier_refuses_with_rule_and_source(translate: Translate) -> None:
    rejection = translate("AccessionNumber: OBX-5", "OBX|1|ST|||2026040277TOOLONG").rejections[0]
    assert str(rejection) == "AccessionNumber: '2026040277TOOLONG' has 17 characters, SH allows 16 (from OBX-5)"
    assert rejection.hl7_code == "104"


def test_an_identifier_with_lost_characters_is_refused(translate: Translate) -> None:
    rejection = translate("AccessionNumber: OBX-5", "OBX|1|ST|||A\ufffd1").rejections[0]
    assert (rejection.hl7_code, "could not be read" in rejection.text) == ("102", True)
    assert rejection.hint == "send the message in the character set that its MSH-18 names"


def test_a_bad_alternative_may_be_passed_over(translate: Translate) -> None:
    rules = "AccessionNumber:\n  first_of:\n    - {from: OBX-5, on_invalid: skip}\n    - OBR-18"
    translation = translate(rules, "OBX|1|ST|||2026040277TOOLONG")
    assert only(translation)["AccessionNumber"] == "A1"
    assert "passed over" in translation.warnings[0].text


def test_clean_works_on_joined_and_chosen_values_alike(translate: Translate) -> None:
    rules = (
        "MedicalAlerts: {join: [PID-5.1.1, PID-5.2], with: '-', clean: [{remove: E}]}\n"
        "AccessionNumber: {first_of: [OBX-5, OBR-18], clean: [{pad_left: 4}, {remove_prefix: '00'}]}"
    )
    item = only(translate(rules))
    assert item["MedicalAlerts"] == "DO-JAN"
    assert item["AccessionNumber"] == "A1"


def test_names_codes_and_weights_are_converted_by_their_types(translate: Translate) -> None:
    rules = (
        "PatientName: PID-5\nRequestedProcedureCodeSequence: OBR-4\n"
        "PatientWeight: {from: 'OBX[3.2=Body Weight]-5', when: 'OBX[3.2=BODY WEIGHT]-6 = \"kg\"'}"
    )
    item = only(translate(rules, "OBX|1|NM|1^OTHER||1|kg", "OBX|2|NM|2^BODY WEIGHT||72,5|kg"))
    assert item["PatientName"] == "DOE^JANE^^DR^JR"
    assert item["RequestedProcedureCodeSequence"][0]["CodeMeaning"] == "CT head"
    assert item["PatientWeight"] == "72.5"


def test_ideographic_and_phonetic_names_become_groups(translate: Translate) -> None:
    names = "ZPN|YAMADA^TARO^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"
    item = only(translate("PatientName: ZPN-1", names, head="declare: {ZPN-1: XPN}"))
    assert item["PatientName"] == "YAMADA^TARO=山田^太郎=やまだ^たろう"


def test_several_values_come_from_repetitions_and_segments(translate: Translate) -> None:
    rules = "Allergies: AL1[*]-3.2 or AL1[*]-3.1"
    assert only(translate(rules, "AL1|1||^DUST", "AL1|2||^NUTS"))["Allergies"] == ["DUST", "NUTS"]
    assert only(translate(rules, "AL1|1||^DUST"))["Allergies"] == "DUST"


def test_each_makes_an_item_of_every_repetition_that_fulfils_when(translate: Translate) -> None:
    rules = (
        'OtherPatientIDsSequence:\n  each: ZID-1\n  when: $n != "1"\n'
        "  item: {PatientID: ZID-1.1, IssuerOfPatientID: ZID-1.4}"
    )
    items = only(translate(rules, "ZID|1^^^A~2^^^B~3^^^C"))["OtherPatientIDsSequence"]
    assert items == [
        {"PatientID": "2", "IssuerOfPatientID": "B"},
        {"PatientID": "3", "IssuerOfPatientID": "C"},
    ]


def test_an_item_with_nothing_in_it_is_none(translate: Translate) -> None:
    rules = "OrderPlacerIdentifierSequence: {item: {LocalNamespaceEntityID: OBX-3.2}}"
    assert "OrderPlacerIdentifierSequence" not in only(translate(rules))


def test_a_let_keeps_number_and_issuer_together(translate: Translate) -> None:
    rules = "FillerOrderNumberImagingServiceRequest: $number.1\nIssuerOfPatientID: $number.2"
    head = "let: {number: OBX-21 or ORC-3}"
    item = only(translate(rules, "OBX" + "|" * 21 + "X1", head=head))
    assert item["FillerOrderNumberImagingServiceRequest"] == "X1"
    assert "IssuerOfPatientID" not in item
    item = only(translate(rules, "OBX" + "|" * 21 + "^WRONG", head=head))
    assert (item["FillerOrderNumberImagingServiceRequest"], item["IssuerOfPatientID"]) == ("F1", "RIS")


def test_a_uid_is_missing_when_one_of_its_sources_is(translate: Translate) -> None:
    rules = "ReferencedStudySequence: {item: {ReferencedSOPInstanceUID: {uid_from: [OBX-5, ORC-2.1]}}}"
    assert only(translate(rules))["ReferencedStudySequence"] is None
    assert only(translate(rules, "OBX|1|ST|||x"))["ReferencedStudySequence"][0]["ReferencedSOPInstanceUID"]


def test_a_warning_goes_with_its_value(translate: Translate) -> None:
    steps = (
        "ScheduledProcedureStepStartDate:\n  first_of: [OBR-36, {from: message.received_at, warn: unscheduled time}]\n"
        "ScheduledProcedureStepStartTime: message.received_at"
    )
    translation = translate("", steps=steps, zone="Europe/Madrid")
    step = only(translation)[STEP][0]
    assert (step["ScheduledProcedureStepStartDate"], step["ScheduledProcedureStepStartTime"]) == ("20260401", "113000")
    assert translation.outputs[0].is_start_known is False


def test_a_message_zone_is_moved_to_the_departments(translate: Translate) -> None:
    steps = "ScheduledProcedureStepStartTime: ZTM-1"
    head = "timezone: Europe/London\ndeclare: {ZTM-1: TS}"
    item = only(translate("", "ZTM|20260401101500", head=head, steps=steps, zone="Europe/Madrid"))
    assert item[STEP][0]["ScheduledProcedureStepStartTime"] == "111500"


@pytest.mark.parametrize(
    ("rule", "time"),
    [
        ("{value: '080000'}", "080000"),
        ("{value: '0730'}", "073000"),
        ("{first_of: [OBR-36, {value: '080000'}]}", "080000"),
        ("{first_of: [ZTM-2, {value: '080000'}]}", "101500"),
        ("{from: ZTM-3, as: time}", "143000"),
        ("{from: ZTM-3, when: ZTM-3 is present}", ""),
    ],
)
def test_a_time_of_day_is_one_where_the_rule_says_so(translate: Translate, rule: str, time: str) -> None:
    steps = f"ScheduledProcedureStepStartTime: {rule}"
    head = "declare: {ZTM-2: TS, ZTM-3: TS}"
    item = only(translate("", "ZTM||20260401101500|1430", head=head, steps=steps))
    assert item[STEP][0]["ScheduledProcedureStepStartTime"] == time


def test_a_cancel_is_read_for_identifiers_alone(translate: Translate) -> None:
    head = "action: {from: ORC-1, map: {NW: cancel}}"
    item = only(translate("PatientName: PID-5\nAccessionNumber: {from: OBX-5, required: true}", head=head))
    assert set(item) == {"PatientID", "StudyInstanceUID", "RequestedProcedureID", STEP}


@pytest.mark.parametrize(("mapped", "action"), [("NW: create", "create"), ("NW: ignore", "ignore"), ("XX: create", "")])
def test_order_control_codes(translate: Translate, mapped: str, action: str) -> None:
    translation = translate("", head=f"action: {{from: ORC-1, map: {{{mapped}}}}}")
    assert (translation.outputs[0].action, translation.outputs[0].control) == (action, "NW")


def test_an_order_without_control_code_is_refused(translate: Translate) -> None:
    rejection = translate("", head="action: {from: ORC-11.1, map: {NW: create}}").rejections[0]
    assert (rejection.hl7_code, rejection.location) == ("101", "ORC^1^1^1")


def test_orders_of_one_accession_number_stand_and_fall_together(translate: Translate) -> None:
    more = ("ORC|NW|P2", "OBR|2|||||||||||||||||A1", "ORC|NW|P3", "OBR|3|||||||||||||||||A3")
    rules = "AccessionNumber: OBR-18\nPatientSex: {from: ORC-2.1, map: {P1: F, P3: M}, on_unknown: reject}"
    translation = translate(rules, *more)
    assert [output.accession for output in translation.outputs] == ["A3"]
    assert [rejection.group for rejection in translation.rejections] == [2, 1]
    assert "another order of the same accession number A1" in translation.rejections[1].text


def test_a_mapping_may_refuse_the_whole_message(translate: Translate) -> None:
    rules = "AccessionNumber: OBR-18\nPatientSex: {from: ORC-2.1, map: {P1: F}, on_unknown: reject}"
    translation = translate(rules, "ORC|NW|P2", "OBR|2|||||||||||||||||A2", head="partial: reject_message")
    assert not translation.outputs
    assert len(translation.rejections) == 2


def test_fields_that_no_rule_looked_at_are_named(translate: Translate) -> None:
    unused = translate("PatientName: PID-5", trace=True).unused
    assert "PID-7" in unused
    assert "PID-5" not in unused
    assert not {"PID-1", "OBR-1", "MSH-3"} & set(unused)


def test_what_is_due_is_there_whatever_the_message_lacks_traced_or_not(translate: Translate) -> None:
    rules = "MedicalAlerts: OBX-5\nAllergies: AL1[*]-3.2\nPatientAddress: PID-11.3\nAdmissionID: {from: PV1-19.1, default: none}"
    items = [only(translate(rules, trace=trace)) for trace in (False, True)]
    assert items[0] == items[1]
    assert (items[0]["MedicalAlerts"], items[0]["Allergies"], items[0]["AdmissionID"]) == (None, None, "none")
    assert "PatientAddress" not in items[0]


def test_orders_of_many_shapes_are_filled_alike(build: Callable[..., Any]) -> None:
    mapping = build("MedicalAlerts: OBX-5 or OBX-7\nPatientState: OBX-9", steps="Modality: OBX-11")
    for shape in range(2 * PLANS_KEPT):
        fields = ["x" if shape >> place & 1 else "" for place in range(10)]
        text = "MSH|^~\\&|RIS||||20260401||ORM^O01|1|P|2.5.1\rPID|||77\rORC|NW|P1\rOBX|1||||" + "|".join(fields)
        item = only(mapping.translate(Message.parse(text), ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC)))
        assert item["MedicalAlerts"] == (fields[0] or fields[2] or None)
        assert item["PatientState"] == (fields[4] or None)
        assert item[STEP][0]["Modality"] == (fields[6].upper() or None)


def test_an_attribute_that_an_item_must_have_refuses_also_where_its_segment_is_missing(translate: Translate) -> None:
    rules = "IssuerOfAccessionNumberSequence: {item: {LocalNamespaceEntityID: {from: ZAC-1, required: true}}}"
    assert "no value for LocalNamespaceEntityID" in translate(rules, head="declare: {ZAC-1: ST}").rejections[0].text


def test_a_step_that_may_be_any_orders_refuses_them_all(build: Callable[..., Any]) -> None:
    lines = ["IPC|A9|RP9", "ORC|NW|P1|A1", "OBR|1", "ORC|NW|P2|A2", "OBR|2"]
    message = Message.parse("\r".join(["MSH|^~\\&|RIS|N|||20260401||OMI^O23|1|P|2.5.1", "PID|1||77", *lines]))

    translation = build("PatientComments: IPC-1.1").translate(
        message, ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC)
    )

    assert translation.outputs == ()
    first, *taken_along = translation.rejections
    assert (first.target, first.location, first.accession) == ("IPC", "IPC^1", "A9")
    assert [one.group for one in taken_along] == [1, 2]
