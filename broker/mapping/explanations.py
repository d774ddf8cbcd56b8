"""What each problem of ``broker check`` means: cause, an example with the mistake, the same without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent

HEAD = "mapping: sites/example\nextends: ihe/orm-to-mwl\n"
"""How an example begins that does not say it itself: it is a child of a shipped mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One code. *wrong* and *right* are lines of a mapping file, *wrong* draws the problem, *right* does not."""

    title: str
    cause: str
    wrong: str
    right: str


def _explained(title: str, cause: str, wrong: str, right: str) -> Explanation:
    return Explanation(title=title, cause=cause, wrong=dedent(wrong).strip("\n"), right=dedent(right).strip("\n"))


def as_files(example: str) -> dict[str, bytes]:
    """Make whole mapping files of an example; a comment with a path begins a second one."""
    first, _, second = example.partition("# sites/other.yaml\n")
    files = {"sites/example.yaml": first if first.startswith("mapping:") else f"{HEAD}{first}\n"}
    if second:
        files["sites/other.yaml"] = second
    return {path: text.encode() for path, text in files.items()}


EXPLANATIONS: Mapping[str, Explanation] = {
    "M001": _explained(
        "the file is not YAML",
        "The file cannot be read at all: an indentation, a quote or a bracket is off, it is not UTF-8, it holds tabs, "
        "or it is larger than a mapping may be, or has more than 500 problems. "
        "YAML's anchors, tags and merge keys are not part of the language.",
        "set:\n  PatientName: {from: PID-5",
        "set:\n  PatientName: {from: PID-5}",
    ),
    "M003": _explained(
        "a target is set twice",
        "Each attribute has one rule in a file, so that one line answers where a value comes from. Alternatives are "
        "written in one rule, with or, or with first_of.",
        "set:\n  AccessionNumber: OBR-18\n  (0008,0050): OBR-3.1",
        "set:\n  AccessionNumber: OBR-18 or OBR-3.1",
    ),
    "M010": _explained(
        "not a DICOM attribute",
        "The name is no keyword of the DICOM dictionary (PS3.6), no tag such as (0010,0020), or an attribute whose "
        "values no rule can make (pixel data, for instance).",
        "set:\n  PatinetID: PID-3.1",
        "set:\n  PatientID: PID-3.1",
    ),
    "M012": _explained(
        "an unknown setting",
        "The setting is misspelled, or it stands where it has no meaning.",
        "set:\n  PatientSex: {from: PID-8, lokup: sex}",
        "set:\n  PatientSex: {from: PID-8, lookup: sex}",
    ),
    "M013": _explained(
        "an unknown cleaning step or conversion",
        "clean takes trim, upper, digits, remove, remove_prefix, pad_left, first and last; as takes name, date, time, "
        "datetime, code, text, number, uid and ae. A date format consists of YYYY, MM, DD, HH, mm and ss.",
        "set:\n  AccessionNumber: {from: OBR-18, clean: [uper]}",
        "set:\n  AccessionNumber: {from: OBR-18, clean: [upper]}",
    ),
    "M014": _explained(
        "not one of the choices",
        "The setting has a closed list of values, or needs a value of another shape (a text, a list, a block).",
        "set:\n  MedicalAlerts: {from: OBR-13, on_missing: rejct}",
        "set:\n  MedicalAlerts: {from: OBR-13, on_missing: reject}",
    ),
    "M020": _explained(
        "nothing to drop",
        "drop names an attribute that the parent does not set: either it is misspelled or the parent has changed.",
        "drop: [AcquisitionDate]",
        "drop: [PatientWeight]",
    ),
    "M021": _explained(
        "no such parent",
        "extends names a mapping that is not in the mappings folder. The name is the one after mapping:, not a path.",
        "mapping: sites/example\nextends: ihe/orm-to-mlw\n",
        "mapping: sites/example\nextends: ihe/orm-to-mwl\n",
    ),
    "M022": _explained(
        "a mapping extends itself",
        "Following extends from parent to parent comes back to this file, or to no end: 32 mappings may stand one on another.",
        "mapping: sites/example\nextends: sites/example\n",
        "mapping: sites/example\nextends: ihe/orm-to-mwl\n",
    ),
    "M030": _explained(
        "a table or sample cannot be read",
        "The path after tables: or message: is not in the mappings folder, is no CSV with a header row and two columns "
        "or more, is not UTF-8, is too large, or has a code twice.",
        "tables:\n  rooms: tables/rooms_that_are_not_there.csv",
        "tables:\n  rooms: tables/station_by_room.csv",
    ),
    "M031": _explained(
        "no such table",
        "lookup and in table take the name of a table of this file or of one of its parents.",
        "set:\n  PatientSex: {from: PID-8, lookup: gender}",
        "tables:\n  gender: {'1': M, '2': F}\nset:\n  PatientSex: {from: PID-8, lookup: gender}",
    ),
    "M040": _explained(
        "a source cannot be read",
        'A source is a path such as PID-3.1 (segment, dash, field, dot, component), a "text" in quotes, a $name, or a '
        "fact such as order.accession; several are joined by or.",
        "set:\n  AccessionNumber: OBR.18",
        "set:\n  AccessionNumber: OBR-18",
    ),
    "M041": _explained(
        "no such segment",
        "HL7 has no segment of that name. Segments of a site's own begin with Z.",
        "set:\n  AccessionNumber: OBZ-18",
        "set:\n  AccessionNumber: ZOB-18",
    ),
    "M042": _explained(
        "no such field or component",
        "The segment, as HL7 2.5.1 (or the newest version that has it) describes it, has fewer fields, or the field's "
        "type has fewer components.",
        "set:\n  RequestedProcedureID: OBR-19 or OBX-99",
        "set:\n  RequestedProcedureID: OBR-19 or OBR-18",
    ),
    "M043": _explained(
        "the types do not fit",
        "The HL7 type of the field cannot become the DICOM value representation of the attribute: a whole name is no "
        "date, a composite is no text. Write the component, take a field whose type fits, or say as: for what is "
        "meant. A constant that the attribute can never hold, as 'hello' for a date, is found here too.",
        "set:\n  PatientBirthDate: PID-5",
        "set:\n  PatientBirthDate: PID-7",
    ),
    "M044": _explained(
        "no such name",
        "$name refers to a let of this file or of one of its parents; $inherited to the parent's rule for the same "
        "attribute. A let may not lead back to itself, and names of names may not come to more than 100,000 sources.",
        "set:\n  AccessionNumber: $filer.1",
        "let:\n  filer: ORC-3 or OBR-3\nset:\n  AccessionNumber: $filer.1",
    ),
    "M045": _explained(
        "no such fact",
        "What a mapping of events may say is a closed list: event, patient, order, step, mpps, study and series, each "
        "with its own names. The reference lists them.",
        "mapping: sites/example\nextends: ihe/study-to-oru\nlet: {number: order.acession}\n"
        "segments:\n  - segment: MSH\n    set: {10: $number}\n",
        "mapping: sites/example\nextends: ihe/study-to-oru\nlet: {number: order.accession}\n"
        "segments:\n  - segment: MSH\n    set: {10: $number}\n",
    ),
    "M046": _explained(
        "a condition cannot be read",
        'A condition compares (OBR-24 = "CT" or "MR"), asks for a state (is present, is missing, is null), matches a '
        'pattern (matches "CT*") or looks into a table (in table rooms); and, or, not and brackets combine them.',
        "set:\n  CurrentPatientLocation: {from: PV1-3.2, when: PV1-2 is I}",
        'set:\n  CurrentPatientLocation: {from: PV1-3.2, when: PV1-2 = "I"}',
    ),
    "M050": _explained(
        "a required attribute is not set",
        "The worklist needs the attribute (PS3.4 Table K.6-1, type 1 or 2) and no rule sets it. For what identifies a "
        "patient, a procedure or a step it is an error, else a warning.",
        "mapping: sites/example\nlanguage: 1\nfrom: hl7/ORM^O01\nto: dicom/mwl\none_per: ORC\n"
        'action: {from: ORC-1, map: {NW: create}}\nwhen: MSH-3 = "X"\nset: {PatientID: PID-3.1}\n',
        "drop: []",
    ),
    "M051": _explained(
        "two mappings claim one message",
        "The when of two mappings may hold for the same message, and neither extends the other nor excludes it: which one "
        "is meant must not depend on chance.",
        'when: MSH-3 = "OLDRIS"\n# sites/other.yaml\nmapping: sites/other\nextends: ihe/orm-to-mwl\nwhen: MSH-4 = "NORTH"',
        'when: MSH-3 = "OLDRIS" and MSH-4 = "SOUTH"\n# sites/other.yaml\nmapping: sites/other\n'
        'extends: ihe/orm-to-mwl\nwhen: MSH-4 = "NORTH"',
    ),
    "M052": _explained(
        "which column of the table",
        "The table has several columns; lookup says which one is meant, as in table.column, and the column must be there.",
        "tables:\n  rooms: tables/station_by_room.csv\nset:\n  PatientState: {from: PV1-3.2, lookup: rooms.building}",
        "tables:\n  rooms: tables/station_by_room.csv\nset:\n  PatientState: {from: PV1-3.2, lookup: rooms}",
    ),
    "M060": _explained(
        "a test expects what the mapping never sets",
        "The attribute in expect or absent cannot come out of this mapping: the name or the item is misspelled, or the "
        "rule is missing.",
        "tests:\n  - name: weight\n    message: samples/ct_thorax.hl7\n    expect: {AcquisitionDate: '20260401'}",
        "tests:\n  - name: sex\n    message: samples/ct_thorax.hl7\n    expect: {PatientSex: '*'}",
    ),
    "M061": _explained(
        "a rule can never apply, or cuts an identifier",
        "What stands before it always has a value, so this alternative is never reached; or an identifier is cut, which "
        "may make two different numbers equal.",
        "set:\n  AccessionNumber: '\"X\" or OBR-18'",
        'set:\n  AccessionNumber: OBR-18 or "X"',
    ),
    "M062": _explained(
        "a mapping has no test",
        "Nobody will notice when a change breaks it. One message and three expectations are enough.",
        "title: North Hospital",
        "tests:\n  - name: a CT\n    message: samples/ct_thorax.hl7\n    expect: {PatientSex: '*'}",
    ),
}
