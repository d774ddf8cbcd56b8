"""The mappings in force as lines of a list: what each reads and makes, and whether it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from broker.mapping.catalogue import Entry
from broker.services.mappings import Mappings

Use = Literal["in_force", "template", "unused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingLine:
    """One mapping. *use*: a template takes no message; one that tells others is unused unless a destination names it."""

    name: str
    title: str
    source: str
    target: str
    digest: str
    extends: str
    tests: int
    use: Use
    destinations: tuple[str, ...]


def mapping_lines(mappings: Mappings, told_by: Mapping[str, str]) -> list[MappingLine]:
    """Give a line a mapping; *told_by* names the mapping of each destination that has one."""
    entries = mappings.current.entries.values() if mappings.is_open else ()
    return [_line(entry, told_by) for entry in entries]


def _line(entry: Entry, told_by: Mapping[str, str]) -> MappingLine:
    mapping = entry.mapping
    destinations = tuple(name for name, mapping_name in told_by.items() if mapping_name == mapping.name)
    return MappingLine(
        name=mapping.name,
        title=mapping.title,
        source=mapping.source,
        target=mapping.target,
        digest=mapping.digest,
        extends=mapping.lineage[1] if len(mapping.lineage) > 1 else "",
        tests=len(entry.file.tests),
        use=_use(entry, destinations),
        destinations=destinations,
    )


def _use(entry: Entry, destinations: tuple[str, ...]) -> Use:
    if destinations:
        return "in_force"
    if entry.mapping.is_template:
        return "template"
    return "in_force" if entry.mapping.message_type else "unused"
