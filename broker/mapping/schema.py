"""The JSON Schema (draft-07) of mapping files, made of spec.py: what an editor completes, explains and underlines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from broker.mapping import types
from broker.mapping.profiles import MODALITY_WORKLIST
from broker.mapping.spec import ACTIONS, CLEAN, CONVERSIONS, FILE, RULE, SEGMENT, TEST, Kind, Setting, Settings

Schema = dict[str, Any]

SCALAR: Schema = {"type": ["string", "number", "boolean", "null"]}
"""Every scalar is text to the broker; an editor may see numbers and booleans in it."""


def mapping_schema() -> Schema:
    """Give the schema of a mapping file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "radbroker mapping",
        **_block(FILE),
        "required": ["mapping"],
        "definitions": {
            "text": SCALAR,
            "rule": {"anyOf": [SCALAR, _block(RULE)]},
            "attributes": _attributes(),
            "members": _named({"anyOf": [SCALAR, _member()]}, _MEMBER),
            "segment": {**_block(SEGMENT), "required": ["segment"]},
            "test": _block(TEST),
        },
    }


def _block(settings: Settings) -> Schema:
    properties = {name: _setting(setting) for name, setting in settings.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _member() -> Schema:
    """Give the block of a member of JSON: the items of a list have members, not attributes."""
    block = _block(RULE)
    block["properties"] = {**block["properties"], "item": {"$ref": "#/definitions/members"}}
    return block


def _setting(setting: Setting) -> Schema:
    kind = _KINDS[setting.kind](setting)
    example = f"\n\nExample: {setting.example}" if setting.example else ""
    return {"description": setting.says + example, **kind}


def _attributes() -> Schema:
    rule = {"$ref": "#/definitions/rule"}
    return {
        "type": ["object", "null"],
        "properties": {name: {"allOf": [rule], "description": _told(name)} for name in types.usable_keywords()},
        "patternProperties": {r"^\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)$": rule, r"^\[[^\]]+\]\(": rule},
        "additionalProperties": False,
    }


def _told(keyword: str) -> str:
    attribute = types.find_attribute(keyword)
    assert attribute is not None
    asked = {path.rpartition(".")[2]: kind for path, kind in MODALITY_WORKLIST.types.items()}.get(keyword)
    worklist = f", type {asked} in {MODALITY_WORKLIST.title}" if asked else ""
    return f"{attribute.tag} {attribute.vr}{worklist}"


def _named(value: Schema, names: str = "") -> Schema:
    return {"type": ["object", "null"], **({"patternProperties": {names: value}} if names else {}),
            "additionalProperties": False if names else value}  # fmt: skip


def _listed(item: Schema) -> Schema:
    return {"anyOf": [item, {"type": "array", "items": item}]}


def _steps(names: Mapping[str, bool]) -> Schema:
    """A step by its name alone, or, where it may take a value, as one ``name: value``."""
    valued = {"type": "object", "maxProperties": 1, "minProperties": 1, "additionalProperties": False,
              "properties": {name: SCALAR for name, may_have_value in names.items() if may_have_value}}  # fmt: skip
    return {"anyOf": [{"enum": list(names)}, valued]}


def _choice(setting: Setting) -> Schema:
    return {"enum": [*setting.choices, *(int(choice) for choice in setting.choices if choice.isdecimal())]}


def _action(_: Setting) -> Schema:
    block = _block(RULE)
    block["properties"] = {**block["properties"], "map": _named({"enum": list(ACTIONS)})}
    return {"anyOf": [SCALAR, block]}


_MEMBER = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$"
_REF_RULE: Schema = {"$ref": "#/definitions/rule"}

_KINDS: Mapping[Kind, Callable[[Setting], Schema]] = {
    "text": lambda _: SCALAR,
    "flag": lambda _: {"enum": [True, False, "true", "false"]},
    "choice": _choice,
    "source": lambda _: SCALAR,
    "sources": lambda _: _listed(SCALAR),
    "rules": lambda _: _listed(_REF_RULE),
    "condition": lambda _: SCALAR,
    "name": lambda _: SCALAR,
    "table": lambda _: _named(SCALAR),
    "clean": lambda _: _listed(_steps(CLEAN)),
    "conversion": lambda _: _steps(CONVERSIONS),
    "each": lambda _: SCALAR,
    "attributes": lambda _: {"$ref": "#/definitions/attributes"},
    "names": lambda _: _listed(SCALAR),
    "texts": lambda _: _listed(SCALAR),
    "tables": lambda _: _named({"anyOf": [{"type": "string"}, _named(SCALAR)]}),
    "lets": lambda _: _named(SCALAR, r"^[a-z_][a-z0-9_]*$"),
    "segments": lambda _: _listed({"$ref": "#/definitions/segment"}),
    "fields": lambda _: _named(_REF_RULE, r"^[1-9][0-9]{0,2}(\.[1-9][0-9]?){0,2}$"),
    "members": lambda _: {"$ref": "#/definitions/members"},
    "types": lambda _: _named(SCALAR, r"^Z[A-Z0-9]{2}-[1-9][0-9]{0,2}$"),
    "tests": lambda _: _listed({"$ref": "#/definitions/test"}),
    "action": _action,
    "edits": lambda _: _named(SCALAR),
    "expectations": lambda _: _named(SCALAR),
    "facts": lambda _: {"type": ["object", "null"]},
}
