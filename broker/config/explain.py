"""What pydantic found, in words that say where and what to write instead."""

from __future__ import annotations

import collections.abc
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from broker.config.model import Configuration
from broker.config.problems import Place, Problem, did_you_mean
from broker.config.source import Location, Node

_WORDS: Mapping[str, tuple[str, str]] = {
    "int_parsing": ("a whole number is needed", ""),
    "int_type": ("a whole number is needed", ""),
    "bool_parsing": ("true or false is needed", ""),
    "bool_type": ("true or false is needed", ""),
    "string_type": ("text is needed", ""),
    "path_type": ("a path is needed", ""),
    "tuple_type": ("a list is needed", "write [A, B]"),
    "dict_type": ("a mapping is needed", "write name: {{key: value}} for each"),
    "model_type": ("a block of settings is needed", "write key: value"),
    "model_attributes_type": ("a block of settings is needed", "write key: value"),
    "greater_than_equal": ("must be at least {ge}", ""),
    "greater_than": ("must be more than nothing", ""),
    "less_than_equal": ("must be at most {le}", ""),
    "string_too_short": ("must not be empty", ""),
    "string_too_long": ("has more than {max_length} characters", ""),
    "string_pattern_mismatch": ("does not look right", "expected {pattern}"),
    "union_tag_not_found": ("'type' is missing", "add type: hl7 or type: mqtt"),
}


def explain(error: ErrorDetails, root: Node) -> Problem:
    """Turn one error of pydantic into a problem at the place in the file that it is about."""
    is_key = error["loc"][-1:] == ("[key]",)
    location = error["loc"][:-1] if is_key else error["loc"]
    node = root.nearest(location)
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(node.key_place, location)
        case "missing":
            name = location[-1]
            return Problem(place=node.key_place, message=f"'{name}' is missing", hint=f"add {name}: ...")
        case "literal_error":
            return _not_one_of(node.place, str(error["input"]), context["expected"])
        case "union_tag_invalid":
            return _not_one_of(node.nearest(("type",)).place, context["tag"], context["expected_tags"])
        case "broker":
            message, hint = context["message"], context["hint"]
        case other if other in _WORDS:
            message, hint = (text.format_map(context) for text in _WORDS[other])
        case _:
            message, hint = error["msg"], ""
    if node is root and location:
        return Problem(place=Place(), message=f"{'.'.join(map(str, location))} (default): {message}", hint=hint)
    return Problem(place=node.key_place if is_key else node.place, message=message, hint=hint)


def _unknown_key(place: Place, location: Location) -> Problem:
    word, known = str(location[-1]), _keys(location[:-1])
    hint = did_you_mean(word, known) or f"known here: {', '.join(known)}"
    return Problem(place=place, message=f"unknown key '{word}'", hint=hint)


def _not_one_of(place: Place, word: str, expected: str) -> Problem:
    choices = re.findall(r"'([^']*)'", expected)
    message = f"'{word}' is not one of {', '.join(choices)}"
    return Problem(place=place, message=message, hint=did_you_mean(word, choices))


def _keys(location: Location) -> Sequence[str]:
    """List the keys that the block at *location* may have."""
    kind: Any = Configuration
    for part in location:
        kind = _child(kind, str(part))
    models = _models(kind)
    return list(models[0].model_fields) if models else ()


def _child(kind: Any, part: str) -> Any:
    """Follow one part of a location: a name in a mapping, the tag of a union, or a field of a block."""
    if get_origin(kind) is collections.abc.Mapping:
        return get_args(kind)[1]
    models = _models(kind)
    if len(models) > 1:
        return next((model for model in models if part in get_args(model.model_fields["type"].annotation)), None)
    field = models[0].model_fields.get(part) if models else None
    return field.annotation if field else None


def _models(kind: Any) -> list[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [kind]
    return [model for inner in get_args(kind) for model in _models(inner)]
