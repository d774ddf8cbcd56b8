"""What a configuration may say, told from the model: blocks, keys, kinds, defaults; for documents and editors."""

from __future__ import annotations

import ast
import collections.abc
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from broker.config import kinds, model
from broker.config.model import MEGABYTE, Configuration
from broker.domain.events import PUBLIC

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of value: what people call it, with an example, and as JSON Schema (of a text that is written out)."""

    words: str
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key. *kind* is that of its value, or of each of several (*is_list*, *is_named*); *block*: it holds keys itself.

    *default* is as one would write it; None: it must be given, or nothing holds without it (*is_needed* says which).
    """

    name: str
    says: str
    kind: Kind | None
    blocks: tuple[Block, ...]
    is_list: bool
    is_named: bool
    is_needed: bool
    default: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of keys; *variant* is the value of ``type`` that chooses it, where there are several."""

    says: str
    variant: str
    keys: tuple[Key, ...]


def describe() -> Block:
    """Describe a whole configuration."""
    return _block(Configuration, _docstrings())


def _text(words: str, pattern: str = "", **more: Any) -> Kind:
    return Kind(words=words, schema={"type": "string", **({"pattern": pattern} if pattern else {}), **more})


_KINDS: Sequence[tuple[Any, Kind]] = (
    (kinds.Duration, _text("duration, as in 30s", r"^\s*[0-9]{1,9}(\.[0-9]{1,6})?\s*(ms|s|m|h|d)\s*$")),
    (kinds.Size, _text("size, as in 10MB", r"^\s*[0-9]{1,12}\s*([KkMmGg]?[Bb])?\s*$")),
    (kinds.AETitle, _text("AE title", r"^[ -\[\]-~]{1,}$")),
    (kinds.Name, _text("name", r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")),
    (kinds.Code, _text("code, as in CT", r"^[A-Z0-9_ ]{0,16}$")),
    (kinds.HL7Charset, _text("character set, as in UTF-8")),
    (kinds.DICOMCharset, _text("Specific Character Set, as in ISO_IR 100")),
    (kinds.EventPattern, _text("event, or a pattern", anyOf=[{"enum": sorted(PUBLIC)}, {"pattern": r"[*?\[]"}])),
    (kinds.TimeZone, _text("time zone, as in Europe/Madrid")),
    (kinds.Network, _text("network, as in 10.0.0.0/8")),
    (kinds.Host, _text("host", r"^\S+$", maxLength=255)),
    (kinds.Port, Kind(words="port", schema={"type": "integer", "minimum": 1, "maximum": 65535})),
    (kinds.ListeningPort, Kind(words="port", schema={"type": "integer", "minimum": 0, "maximum": 65535})),
    (kinds.Location, _text("path")),
    (kinds.ExistingFile, _text("file")),
    (kinds.ExistingFolder, _text("folder")),
    (kinds.Database, _text("sqlite:///file or postgresql://...", r"^(sqlite:///|postgresql://)")),
    (kinds.MqttUrl, _text("mqtt:// or mqtts:// and host:port", r"^mqtts?://")),
    (kinds.Uid, _text("UID", r"^[0-2](\.(0|[1-9][0-9]*))+$")),
    (bool, Kind(words="true or false", schema={"type": "boolean"})),
    (int, Kind(words="number", schema={"type": "integer"})),
    (str, _text("text")),
)


def _block(of: type[BaseModel], said: Mapping[tuple[str, str], str]) -> Block:
    hints = get_type_hints(of, include_extras=True)
    variant = get_args(hints["type"])[0] if "type" in of.model_fields else ""
    keys = tuple(_key(name, field, hints[name], _said(of, name, said), said) for name, field in of.model_fields.items())
    return Block(says=inspect.cleandoc(of.__doc__ or "").splitlines()[0], variant=variant, keys=keys)


def _key(name: str, field: FieldInfo, hint: Any, says: str, said: Mapping[tuple[str, str], str]) -> Key:
    hint = _without_none(hint)
    is_list, is_named = _is(hint, tuple), _is(hint, collections.abc.Mapping)
    if is_list or is_named:
        hint = get_args(get_args(hint)[0])[1 if is_named else 0]
    blocks = tuple(_block(one, said) for one in _models(hint))
    return Key(
        name=name,
        says=says,
        kind=None if blocks else _kind(hint, field),
        blocks=blocks,
        is_list=is_list,
        is_named=is_named,
        is_needed=field.is_required(),
        default=None if field.is_required() or blocks else _written(field.default),
    )


def _kind(hint: Any, field: FieldInfo) -> Kind:
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return Kind(words=" or ".join(choices), schema={"enum": list(choices)})
    for known, kind in _KINDS:
        if hint == known:
            return replace(kind, schema={**kind.schema, **_bounds(field)}) if hint is int else kind
    assert get_origin(hint) is Annotated, hint  # a kind with a bound of its own
    pattern = next((found for one in get_args(hint)[1:] if (found := _pattern(one))), "")
    return _text("text", pattern)


def _bounds(field: FieldInfo) -> Schema:
    names = {"ge": "minimum", "le": "maximum"}
    return {names[name]: value for one in field.metadata for name in names if (value := getattr(one, name, None))}


def _pattern(bound: Any) -> str:
    found = [getattr(one, "pattern", None) for one in getattr(bound, "metadata", ())]
    return next((pattern for pattern in found if pattern), "")


def _without_none(hint: Any) -> Any:
    left = [one for one in get_args(hint) if one is not type(None)]
    return left[0] if len(left) == 1 and type(None) in get_args(hint) else hint


def _is(hint: Any, container: type) -> bool:
    return get_origin(hint) is Annotated and get_origin(get_args(hint)[0]) is container


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    elif get_origin(hint) is not Literal:
        for inner in get_args(hint):
            yield from _models(inner)


def _written(value: Any) -> str | None:
    """Write a default as a configuration does."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case timedelta():
            return _duration(value)
        case int() if value >= 1024 and value % 1024 == 0:
            return f"{value // MEGABYTE}MB" if value % MEGABYTE == 0 else f"{value // 1024}KB"
        case tuple():
            texts = [str(one) if str(one)[:1].isalnum() else f'"{one}"' for one in value]
            return f"[{', '.join(texts)}]"
        case Path():
            return value.as_posix()
    return str(value)


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    for size, letter in ((86400, "d"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def _said(of: type[BaseModel], name: str, said: Mapping[tuple[str, str], str]) -> str:
    return next(said[one.__name__, name] for one in of.__mro__ if (one.__name__, name) in said)


def _docstrings() -> dict[tuple[str, str], str]:
    """Read what stands below each attribute of the model's classes; nothing keeps it while the broker runs."""
    found: dict[tuple[str, str], str] = {}
    for block in ast.parse(inspect.getsource(model)).body:
        if not isinstance(block, ast.ClassDef):
            continue
        for statement, following in zip(block.body, block.body[1:], strict=False):
            match statement, following:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[block.name, name] = text
    return found
