"""A folder of mappings: inheritance, which mapping a message belongs to, what is usable beside broken files."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from broker.errors import BrokerError
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue, check
from broker.mapping.suite import run_tests

PARENT = """\
mapping: base
from: hl7/ORM^O01
to: dicom/mwl
action: {from: ORC-1, map: {NW: create, CA: cancel}}
tables:
  sex: {F: F, M: M}
let: {order: ORC-2 or OBR-2}
set:
  PatientID: PID-3.1
  PatientSex: {from: PID-8, lookup: sex}
  MedicalAlerts: OBR-13
  StudyInstanceUID: {uid_from: [$order.1]}
  RequestedProcedureID: $order.1
  ScheduledProcedureStepSequence:
    item:
      ScheduledProcedureStepID: $order.1
      Modality: OBR-24
      ScheduledStationAETitle: OBR-21
"""
CHILD = """\
mapping: site
extends: base
when: MSH-3 = "OLDRIS"
action: {map: {XX: update}}
tables:
  sex: {'1': M, '2': F}
set:
  MedicalAlerts: {first_of: [OBX-5, $inherited]}
  ScheduledProcedureStepSequence:
    item:
      Modality: {value: CT}
drop: [ScheduledProcedureStepSequence.ScheduledStationAETitle]
"""
MESSAGE = "MSH|^~\\&|{sender}|NORTH|||20260401||ORM^O01|1|P|2.3.1\rPID|||7||||  |{sex}\rORC|{control}|P1\rOBR|||||||||||||Dust"


def message(sender: str = "RIS", sex: str = "F", control: str = "NW") -> Message:
    return Message.parse(MESSAGE.format(sender=sender, sex=sex, control=control))


def load(**files: str) -> Catalogue:
    catalogue, problems = Catalogue.load({f"{name}.yaml": text.encode() for name, text in files.items()})
    assert catalogue is not None, problems
    return catalogue


def codes(**files: str) -> list[tuple[str, str]]:
    problems = check({f"{name}.yaml": text.encode() for name, text in files.items()})
    return [(problem.code, problem.place.path) for problem in problems if problem.is_error or problem.code == "M051"]


def item(catalogue: Catalogue, sent: Message) -> dict[str, object]:
    mapping = catalogue.find(sent)
    assert mapping is not None
    return mapping.translate(sent, ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC)).outputs[0].item


def test_a_child_changes_single_attributes_of_an_item() -> None:
    catalogue = load(base=PARENT, site=CHILD)
    step = item(catalogue, message("OLDRIS", "2"))["ScheduledProcedureStepSequence"]
    assert step == [{"ScheduledProcedureStepID": "P1", "Modality": "CT"}]


def test_a_childs_table_changes_the_parents_rule() -> None:
    catalogue = load(base=PARENT, site=CHILD)
    assert item(catalogue, message("OLDRIS", "2"))["PatientSex"] == "F"
    assert item(catalogue, message("RIS", "F"))["PatientSex"] == "F"


def test_inherited_is_the_parents_rule_also_among_alternatives() -> None:
    assert item(load(base=PARENT, site=CHILD), message("OLDRIS", "2"))["MedicalAlerts"] == "Dust"


def test_action_codes_of_parent_and_child_are_merged() -> None:
    catalogue = load(base=PARENT, site=CHILD)
    for control, action in (("XX", "update"), ("CA", "cancel"), ("NW", "create")):
        sent = message("OLDRIS", "2", control)
        mapping = catalogue.find(sent)
        assert mapping is not None
        translation = mapping.translate(sent, ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC))
        assert translation.outputs[0].action == action


def test_the_most_specific_mapping_gets_the_message() -> None:
    catalogue = load(base=PARENT, site=CHILD)
    names = {sender: catalogue.find(message(sender)) for sender in ("RIS", "OLDRIS")}
    assert {sender: mapping.name for sender, mapping in names.items() if mapping} == {"RIS": "base", "OLDRIS": "site"}


def test_a_message_of_another_type_has_no_mapping() -> None:
    sent = Message.parse("MSH|^~\\&|RIS|NORTH|||20260401||ADT^A01|1|P|2.3.1")
    assert load(base=PARENT).find(sent) is None


def test_a_grandchild_must_fulfil_the_childs_when_too() -> None:
    grandchild = 'mapping: ward\nextends: site\nwhen: MSH-4 = "NORTH"\n'
    catalogue = load(base=PARENT, site=CHILD, ward=grandchild)
    for sender, name in (("OLDRIS", "ward"), ("RIS", "base")):
        mapping = catalogue.find(message(sender))
        assert mapping is not None
        assert mapping.name == name


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        ("mapping: site\nextends: bse\n", ("M021", "site.yaml")),
        ("mapping: site\nextends: site\n", ("M022", "site.yaml")),
        ("mapping: site\nextends: base\ndrop: [PatientName]\n", ("M020", "site.yaml")),
        ("mapping: site\nextends: base\nset: {PatientName: $inherited}\n", ("M044", "site.yaml")),
        ("mapping: site\nextends: base\ntables: {sex: tables/sex.csv}\n", ("M030", "site.yaml")),
        ("mapping: base\nextends: base\n", ("M003", "site.yaml")),
        ("extends: base\n", ("M012", "site.yaml")),
        ("mapping: site\nfrom: hl7/ORM^O01\nto: dicom/mwl\nextends: base\nsegments: []\n", ("M012", "site.yaml")),
        ("mapping: site\nextends: base\nset: {PatientName: {from: PID-5, as: {date: YYYY}}}\n", ("M043", "site.yaml")),
        ("mapping: site\nextends: base\nset: {PatientName: PIX-5}\n", ("M041", "site.yaml")),
        (
            "mapping: site\nextends: base\nset: {RequestedProcedureCodeSequence: {from: OBR-4, as: date}}\n",
            ("M043", "site.yaml"),
        ),
        ("mapping: site\nextends: base\nset: {PatientName: order.id}\n", ("M045", "site.yaml")),
        ("mapping: site\nextends: base\nset: {PatientSex: {from: PID-8, value: F}}\n", ("M014", "site.yaml")),
        ("mapping: site\nextends: base\nset: {PatientComments: 'NTE[*]-3'}\n", ("M043", "site.yaml")),
        ("mapping: site\nextends: base\nset: {'(0010,0010)': PID-5, PatientName: PID-5}\n", ("M003", "site.yaml")),
        ("mapping: site\nextends: base\nlet: {a: $b, b: $a}\nset: {PatientName: $a}\n", ("M044", "site.yaml")),
        ("mapping: site\nextends: base\ntimezone: Europe/Atlantis\n", ("M014", "site.yaml")),
        ("mapping: site\nextends: base\ncharset: assume Klingon\n", ("M014", "site.yaml")),
    ],
)
def test_mistakes_of_a_child_are_its_own(child: str, expected: tuple[str, str]) -> None:
    assert expected in codes(base=PARENT, site=child)
    catalogue = load(base=PARENT, site=child)
    assert catalogue.get("base") is not None


def test_a_mistake_of_a_parent_takes_its_children_along_and_nobody_else() -> None:
    catalogue = load(base=PARENT + "  PatientNam: PID-5\n", site=CHILD, other=PARENT.replace("base", "other"))
    assert set(catalogue.entries) == {"other"}


def test_two_mappings_for_the_same_messages_are_a_mistake() -> None:
    other = PARENT.replace("base", "other")
    assert ("M051", "other.yaml") in codes(base=PARENT, other=other)
    assert set(load(base=PARENT, other=other).entries) == {"base"}


def test_mappings_that_exclude_each_other_are_none() -> None:
    one, two = (PARENT.replace("base", name) + f'when: MSH-3 = "{name}"\n' for name in ("one", "two"))
    assert codes(one=one, two=two) == []


def test_mappings_that_may_overlap_are_a_warning_and_a_message_of_both_is_refused() -> None:
    one = PARENT.replace("base", "one") + 'when: MSH-3 = "RIS"\n'
    two = PARENT.replace("base", "two") + 'when: MSH-4 = "NORTH"\n'
    assert codes(one=one, two=two) == [("M051", "two.yaml")]
    with pytest.raises(BrokerError, match="claim the message"):
        load(one=one, two=two).find(message())


def test_tables_are_read_from_csv_by_column() -> None:
    text = PARENT.replace("sex: {F: F, M: M}", "sex: tables/sex.csv").replace("lookup: sex", "lookup: sex.dicom")
    files = {"base.yaml": text.encode(), "tables/sex.csv": "\ufeffhl7,dicom,words\nF,F,woman\nM,M,man\n".encode()}
    catalogue, problems = Catalogue.load(files)
    assert catalogue is not None, problems
    assert item(catalogue, message())["PatientSex"] == "F"
    wrong = {**files, "base.yaml": text.replace("sex.dicom", "sex.dcm").encode()}
    assert [problem.code for problem in check(wrong) if problem.is_error] == ["M052"]


def test_the_digest_changes_with_parents_and_tables() -> None:
    first = load(base=PARENT, site=CHILD)
    second = load(base=PARENT + "# a remark\n", site=CHILD)
    before, after = first.get("site"), second.get("site")
    assert before is not None
    assert after is not None
    assert before.digest != after.digest


def test_a_failing_test_names_the_line_of_its_expectation() -> None:
    tests = (
        "tests:\n  - name: wrong\n    message: |\n"
        + "".join(f"      {line}\n" for line in MESSAGE.format(sender="RIS", sex="F", control="NW").split("\r"))
        + "    action: cancel\n    expect:\n      PatientSex: M\n      PatientID: '7'\n    absent: [MedicalAlerts]\n"
    )
    result = run_tests(load(base=PARENT + tests))[0]
    assert not result.has_passed
    lines = (PARENT + tests).splitlines()
    assert [lines[failure.place.line - 1].strip() for failure in result.failures] == [
        "action: cancel",
        "PatientSex: M",
        "absent: [MedicalAlerts]",
    ]


def test_tests_are_chosen_by_name() -> None:
    tests = "tests:\n  - {name: one, message: MSH, change: {}}\n"
    assert run_tests(load(base=PARENT + tests), "something else") == []


def test_a_type_without_event_fits_any_event() -> None:
    catalogue = load(base=PARENT.replace("hl7/ORM^O01", "hl7/ORM"))

    assert catalogue.find(message()) is not None


def test_two_mappings_of_one_type_clash_when_one_of_them_takes_any_event() -> None:
    other = PARENT.replace("mapping: base", "mapping: other").replace("hl7/ORM^O01", "hl7/ORM")

    assert codes(base=PARENT, other=other) == [("M051", "other.yaml")]


def test_a_child_may_look_elsewhere_for_the_action() -> None:
    child = CHILD.replace("{map: {XX: update}}", '{join: [ORC-1, ORC-2.1], with: "_", map: {NW_P1: update}}')
    catalogue = load(base=PARENT, site=child)
    mapping = catalogue.find(message("OLDRIS", "2"))
    assert mapping is not None

    (output,) = mapping.translate(message("OLDRIS", "2"), ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC)).outputs

    assert (output.control, output.action) == ("NW_P1", "update")


def test_a_template_takes_no_message_and_is_extended() -> None:
    template = CHILD.replace("mapping: site", "mapping: vendor\ntemplate: true")
    child = 'mapping: mine\nextends: vendor\nwhen: MSH-4 = "NORTH"\n'

    assert codes(base=PARENT, vendor=template, other=template.replace("vendor", "another")) == []
    found = load(base=PARENT, vendor=template).find(message("OLDRIS"))
    extended = load(base=PARENT, vendor=template, mine=child).find(message("OLDRIS"))

    assert (found and found.name, extended and extended.name) == ("base", "mine")
