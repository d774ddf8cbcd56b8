"""The JSON Schema (draft-07) of the configuration, made of what describe.py tells of the model."""

from __future__ import annotations

import re
from typing import Any

from broker.config.describe import Block, Key, Schema, describe

_REPLACED: Schema = {
    "type": "string",
    "pattern": r"(\$\{[A-Za-z_][A-Za-z0-9_]*(:-.*)?\})|(^file:)",
    "description": "${NAME}, ${NAME:-default} or file:path: replaced before it is looked at",
}
_WORDS_OF_TRUTH = ("true", "false", "yes", "no", "on", "off")


def configuration_schema() -> Schema:
    """Give the schema of a configuration file."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "radbroker configuration",
        **_block(describe()),
        "definitions": {"replaced": _REPLACED},
    }


def _block(block: Block) -> Schema:
    found: Schema = {
        "type": ["object", "null"],
        "properties": {key.name: _key(key) for key in block.keys},
        "additionalProperties": False,
    }
    needed = [key.name for key in block.keys if key.is_needed]
    return {**found, "required": needed} if needed else found


def _key(key: Key) -> Schema:
    default = f"\n\nDefault: {key.default}" if key.default else ""
    one = _blocks(key.blocks) if key.blocks else _value(key)
    if key.is_named:
        one = {"type": ["object", "null"], "additionalProperties": one}
    elif key.is_list:
        one = {"anyOf": [one, {"type": "array", "items": one}]}
    return {"description": key.says + default, **one}


def _blocks(blocks: tuple[Block, ...]) -> Schema:
    """One block as it is; of several each where its ``type`` is named, so that a mistake is shown inside the right one."""
    if len(blocks) == 1:
        return _block(blocks[0])
    chosen = [
        {"if": {"properties": {"type": {"const": block.variant}}, "required": ["type"]}, "then": _block(block)}
        for block in blocks
    ]
    types: Schema = {"enum": [block.variant for block in blocks]}
    return {"type": "object", "properties": {"type": types}, "required": ["type"], "allOf": chosen}


def _value(key: Key) -> Schema:
    """A value as YAML may give it: a number for a text that may be one, a text for a number, or nothing."""
    assert key.kind is not None
    kind = dict(key.kind.schema)
    match kind.get("type"):
        case "string":
            if re.search(kind.get("pattern", ""), "7"):
                kind["type"] = ["string", "number", "boolean"]
        case "integer":
            return _any(kind, {"type": "string", "pattern": r"^\s*[0-9]+\s*$"})
        case "boolean":
            return _any(kind, {"enum": list(_WORDS_OF_TRUTH)})
    return _any(kind)


def _any(*ways: Schema) -> Schema:
    rest: list[dict[str, Any]] = [{"$ref": "#/definitions/replaced"}, {"type": "null"}]
    return {"anyOf": [*ways, *rest]}
