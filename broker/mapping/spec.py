"""The settings of the language, declared once: parsing, unknown-setting checks and documentation follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "text", "flag", "choice", "source", "sources", "rules", "condition", "name", "table", "clean", "conversion",
    "each", "attributes", "names", "tables", "lets", "segments", "fields", "types", "tests", "action",
    "edits", "expectations", "texts", "facts", "members",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: how its value is read, what it may be, what it does, an example."""

    kind: Kind
    says: str
    example: str = ""
    choices: tuple[str, ...] = ()


Settings = Mapping[str, Setting]

TARGETS = ("dicom/mwl", "hl7/ORU^R01", "hl7/ORM^O01", "hl7/OMG^O19", "hl7/OMI^O23", "hl7/ADT^A08", "mqtt/event")

FILE: Settings = {
    "mapping": Setting(
        kind="text", says="the mapping's name: its path below the mappings folder", example="sites/north"
    ),
    "title": Setting(kind="text", says="one line for people"),
    "language": Setting(kind="choice", says="version of the language", choices=("1",)),
    "from": Setting(kind="text", says="what it reads", example="hl7/ORM^O01"),
    "to": Setting(kind="choice", says="what it makes", choices=TARGETS),
    "extends": Setting(kind="name", says="the one parent", example="ihe/orm-to-mwl"),
    "template": Setting(kind="flag", says="it is there to be extended and takes no message itself"),
    "when": Setting(kind="condition", says="which messages use this file", example='MSH-3 = "OLDRIS"'),
    "timezone": Setting(kind="text", says="zone of times without an offset", example="Europe/Madrid"),
    "charset": Setting(kind="text", says="from MSH-18, assume <set>, or the set to write", example="assume 8859/1"),
    "one_per": Setting(
        kind="text", says="the segment that starts an order; IPC, AIS: each of an order's", example="ORC"
    ),
    "partial": Setting(
        kind="choice",
        says="what a refused order takes with it: the orders of its accession number, or the whole message",
        choices=("by_accession", "reject_message"),
    ),
    "update": Setting(
        kind="choice",
        says="what becomes of a procedure's steps that a message leaves out: they stay, or are cancelled unless begun",
        choices=("additive", "replace"),
    ),
    "action": Setting(kind="action", says="order control code -> action", example="{from: ORC-1, map: {NW: create}}"),
    "tables": Setting(kind="tables", says="code tables, inline or the path of a CSV file", example="{sex: {M: M}}"),
    "let": Setting(
        kind="lets", says="named whole fields, used as $name or $name.1", example="{filler: ORC-3 or OBR-3}"
    ),
    "set": Setting(kind="attributes", says="attribute -> source or block", example="{PatientName: PID-5}"),
    "segments": Setting(
        kind="segments", says="the segments to write, in order; they meet the parent's by name and each"
    ),
    "json": Setting(
        kind="members",
        says="the JSON to write: name -> source or block; a dot makes an object",
        example="{patient.id: patient.id}",
    ),
    "drop": Setting(
        kind="names",
        says="attributes of the parent that are not wanted; also OBX[2], OBR-25, members of JSON",
        example="[PatientWeight]",
    ),
    "declare": Setting(kind="types", says="types of Z fields", example="{ZOR-4: TS}"),
    "tests": Setting(kind="tests", says="examples that must hold"),
}

RULE: Settings = {
    "from": Setting(kind="source", says="where the value comes from", example="OBR-18 or ORC-3.1"),
    "value": Setting(kind="text", says="a constant", example="CITY"),
    "first_of": Setting(kind="rules", says="sources or blocks; the first one with a value wins"),
    "join": Setting(kind="sources", says="several sources in one text; empty ones are skipped"),
    "with": Setting(kind="text", says="what stands between the joined texts", example='" "'),
    "uid_from": Setting(kind="sources", says="a stable UID made of these sources; missing when one of them is"),
    "when": Setting(kind="condition", says="the rule applies only then", example="OBR-4.4 is present"),
    "lookup": Setting(kind="name", says="a table by name, with .column when it has several", example="sex"),
    "map": Setting(kind="table", says="a table of its own", example="{B6: '3'}"),
    "on_unknown": Setting(
        kind="choice",
        says="a code that is not in the table (default: reject for identifiers, else empty)",
        choices=("reject", "keep", "empty", "skip"),
    ),
    "clean": Setting(kind="clean", says="cleaning steps, in order", example="[trim, {first: 16}]"),
    "as": Setting(kind="conversion", says="another conversion than the types say", example="{date: DD.MM.YYYY}"),
    "default": Setting(kind="text", says="the value when nothing was found"),
    "required": Setting(kind="flag", says="refuse the order when nothing was found"),
    "on_missing": Setting(
        kind="choice",
        says="nothing was found (default: reject for identifiers, empty for type 1 and 2, else skip)",
        choices=("reject", "empty", "skip"),
    ),
    "on_invalid": Setting(
        kind="choice",
        says="a value that the attribute cannot hold (default: reject for identifiers, cut for text, else empty)",
        choices=("reject", "empty", "cut", "skip"),
    ),
    "each": Setting(kind="each", says="one item for each segment, repetition or fact", example="IPC"),
    "item": Setting(kind="attributes", says="the attributes of an item; in json its members"),
    "warn": Setting(kind="text", says="a warning to give when this value is used", example="unscheduled time"),
    "note": Setting(kind="text", says="shown in the trace and in documents"),
}

SEGMENT: Settings = {
    "segment": Setting(kind="text", says="the segment's name", example="OBX"),
    "each": Setting(kind="each", says="one segment for each of a list", example="study.series"),
    "when": Setting(kind="condition", says="written only then", example="study.series is present"),
    "set": Setting(kind="fields", says="field or field.component -> source or block", example="{5: study.uid}"),
    "note": Setting(kind="text", says="shown in documents"),
}

TEST: Settings = {
    "name": Setting(kind="text", says="what is shown"),
    "message": Setting(kind="text", says="path of a sample, or the message itself", example="samples/ct_head.hl7"),
    "change": Setting(kind="edits", says="fields of the sample to write anew; a segment's name removes it"),
    "facts": Setting(kind="facts", says="what an outbound mapping is given"),
    "received_at": Setting(kind="text", says="when the message came, YYYYMMDDHHMMSS"),
    "expect": Setting(kind="expectations", says="attribute -> text; a final * stands for anything"),
    "absent": Setting(kind="texts", says="attributes that must not be set"),
    "warns": Setting(kind="texts", says="pieces of warnings that must be given"),
    "action": Setting(kind="text", says="create, update, cancel ...; none when the code is unknown"),
    "outputs": Setting(kind="text", says="how many orders the message makes"),
    "output": Setting(kind="text", says="which of them is looked at (1)"),
    "expect_reject": Setting(kind="text", says="a piece of the refusal: target and text"),
}

ACTIONS = ("create", "update", "cancel", "status", "hold", "release", "ignore")

CLEAN: Mapping[str, bool] = {
    "trim": False, "upper": False, "digits": False,
    "remove": True, "remove_prefix": True, "pad_left": True, "first": True, "last": True,
}  # fmt: skip
"""Cleaning steps; True: the step takes a value."""

CONVERSIONS: Mapping[str, bool] = {
    "name": True, "date": True, "time": True, "datetime": True,
    "code": False, "text": False, "number": False, "uid": False, "ae": False,
}  # fmt: skip
"""Conversions for ``as``; True: the conversion may have a format."""
