"""Names and types of segments, fields and components, from hl7apy's dictionaries, which are loaded when first asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import import_module
from typing import Any

DEFAULT_VERSION = "2.5.1"
VERSIONS = ("2.8.2", "2.8.1", "2.8", "2.7", "2.6", "2.5.1", "2.5", "2.4", "2.3.1", "2.3", "2.2", "2.1")
"""Newest first: where *version* lacks something, the first of these that has it is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldType:
    """A field or component: its name (``PATIENT_NAME``), datatype (``XPN``; ``varies`` where the message says), may it repeat."""

    name: str
    datatype: str
    repeats: bool


KEPT = 4096
"""So many answers are remembered: mappings that have a parent ask the same again."""

_WITHDRAWN = FieldType(name="WITHDRAWN", datatype="ST", repeats=False)


@lru_cache(maxsize=KEPT)
def field(segment: str, n: int, version: str = DEFAULT_VERSION) -> FieldType | None:
    """Find field *n* of *segment*; None where no version has it, and for Z segments."""
    return next((found for known in _from(version) if (found := _segment(known, segment).get(n))), None)


def fields(segment: str, version: str = DEFAULT_VERSION) -> dict[int, FieldType]:
    """Give the fields of *segment* by number, with those that only other versions have; a Z segment has none."""
    numbers = {n for known in VERSIONS for n in _segment(known, segment)}
    return {n: found for n in sorted(numbers) if (found := field(segment, n, version))}


@lru_cache(maxsize=KEPT)
def components(datatype: str, version: str = DEFAULT_VERSION) -> tuple[FieldType, ...]:
    """Give the components of *datatype* in order; a simple datatype has none."""
    return next((found for known in _from(version) if (found := _datatypes(known).get(datatype)) is not None), ())


@lru_cache(maxsize=KEPT)
def segment_exists(segment: str) -> bool:
    """Say whether any version of the standard has *segment*."""
    return any(_segment(known, segment) for known in _from(DEFAULT_VERSION))


def segment_names() -> tuple[str, ...]:
    """Give the names of all segments of all versions, sorted."""
    return tuple(sorted({name for known in VERSIONS for name in _library(known).SEGMENTS if _segment(known, name)}))


def _from(version: str) -> Iterator[str]:
    if version in VERSIONS:
        yield version
    yield from (known for known in VERSIONS if known != version)


@lru_cache(maxsize=KEPT)
def _segment(version: str, name: str) -> dict[int, FieldType]:
    """Read one of hl7apy's segments; none of those that a version only names, and none of its Z samples."""
    parts = _library(version).SEGMENTS.get(name, ())
    is_known = len(parts) == 2 and parts[0] == "sequence" and re.fullmatch("[A-Y][A-Z0-9]{2}", name)
    return _types(parts[1]) if is_known else {}


@cache
def _datatypes(version: str) -> dict[str, tuple[FieldType, ...]]:
    """Read hl7apy's datatypes with their components; the simple ones, which have none, are those of its leaves."""
    library = _library(version)
    rows = (*library.FIELDS.values(), *library.DATATYPES.values())
    simple = {name for kind, _, name, *_ in rows if kind == "leaf" and name}
    known = {name: _types(rows) for name, rows in library.DATATYPES_STRUCTS.items() if rows}
    composite = {name: tuple(of.get(n, _WITHDRAWN) for n in range(1, max(of) + 1)) for name, of in known.items()}
    return dict.fromkeys(simple, ()) | composite


def _library(version: str) -> Any:
    return import_module("hl7apy.v" + version.replace(".", "_"))


def _types(entries: Any) -> dict[int, FieldType]:
    """Read hl7apy's rows (``PID_3``, (kind, parts, datatype, name, table, length), (least, most), class) by their number."""
    return {
        int(row[0].rpartition("_")[2]): FieldType(name=row[1][3], datatype=row[1][2], repeats=row[2][1] != 1)
        for row in entries
        if row[1][2]
    }
