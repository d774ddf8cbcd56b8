"""All mappings of a folder, checked in one pass; which of them a message belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256

from broker.errors import BrokerError
from broker.hl7.message import Message
from broker.mapping.build import Mapping as Compiled
from broker.mapping.build import build
from broker.mapping.link import Files, Linked, Linker
from broker.mapping.overlap import Index, demands, exclude
from broker.mapping.parse_file import parse_file
from broker.mapping.problems import Problem, Report, TooManyProblems
from broker.mapping.shared import Shared
from broker.mapping.syntax import MappingFile
from broker.mapping.testcheck import check_tests
from broker.mapping.yamlfile import Text

SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A usable mapping with the file it came from and all files, for its tests and tables."""

    mapping: Compiled
    file: MappingFile
    linked: Linked


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The usable mappings by name; immutable, so that a message ends on the set it began with.

    *readers* are those that messages come to by their type.
    """

    entries: Mapping[str, Entry]
    files: Files
    digest: str
    readers: tuple[Compiled, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Pick out the readers."""
        mappings = (entry.mapping for entry in self.entries.values())
        readers = tuple(mapping for mapping in mappings if mapping.message_type and not mapping.is_template)
        object.__setattr__(self, "readers", readers)

    @classmethod
    def load(cls, files: Files) -> tuple[Catalogue | None, list[Problem]]:
        """Read every YAML file among *files*; mappings without errors are usable whatever the others hold.

        None when no mapping is usable. Problems come in the order of files and lines.
        """
        report = Report()
        parsed, broken = _parse(files, report)
        found = _entries(parsed, files, report)
        entries = {
            name: found[name]
            for name in parsed
            if name in found and not {one.path for one in found[name].linked.chain} & broken
        }
        own = Report(report)
        with suppress(TooManyProblems):
            for name in list(_ambiguous(entries, own)):
                entries.pop(name, None)
        report.add(own.problems)
        problems = sorted(report.problems, key=lambda problem: (problem.place.path, problem.place.line))
        if not entries:
            return None, problems
        digest = sha256("".join(entry.mapping.digest for entry in entries.values()).encode()).hexdigest()[:12]
        return cls(entries=entries, files=files, digest=digest), problems

    def get(self, name: str) -> Compiled | None:
        """Give the mapping called *name*, or None."""
        entry = self.entries.get(name)
        return entry.mapping if entry else None

    def find(self, message: Message) -> Compiled | None:
        """Find the mapping of *message*: the most specific of those that claim it.

        Raise BrokerError M051 (AR, 207) when two claim it of which neither extends the other.
        """
        message_type = message.type
        claiming = [mapping for mapping in self.readers if mapping.claims(message, message_type)]
        if not claiming:
            return None
        best = max(claiming, key=lambda mapping: len(mapping.lineage))
        for other in claiming:
            if other.name not in best.lineage:
                raise BrokerError(
                    f"two mappings claim the message: {best.name} and {other.name}",
                    code="M051",
                    hint="let one extend the other, or make their 'when' exclude each other",
                    ack="AR",
                )
        return best


def check(files: Files) -> list[Problem]:
    """Give all problems of a folder; its mappings can be used when none is an error."""
    return Catalogue.load(files)[1]


def _parse(files: Files, report: Report) -> tuple[dict[str, MappingFile], set[str]]:
    parsed: dict[str, MappingFile] = {}
    broken: set[str] = set()
    for path in sorted(files):
        if not path.endswith(SUFFIXES):
            continue
        own = Report(report)
        with suppress(TooManyProblems):
            file = parse_file(path, files[path], own)
            if file is not None and file.name in parsed:
                message = f"the mapping '{file.name}' is already in {parsed[file.name].path}"
                own.error("M003", file.place, message, "give it another name")
            elif file is not None:
                parsed[file.name] = file
        report.add(own.problems)
        if any(problem.is_error for problem in own.problems):
            broken.add(path)
    return parsed, broken


def _entries(parsed: Mapping[str, MappingFile], files: Files, report: Report) -> dict[str, Entry]:
    """Compile the files that have no errors, parents first: a child takes over what it has in common with its own."""
    entries: dict[str, Entry] = {}
    linker = Linker(parsed, files)
    compiled: dict[str, Shared] = {}
    for file in _parents_first(parsed):
        own = Report(report)
        with suppress(TooManyProblems):
            linked = linker.link(file, own)
            if linked is not None:
                parent = compiled.get(file.extends.value) if file.extends else None
                mapping, shared = build(linked, _digest(linked, files), own, parent)
                check_tests(file, linked.file, files, own)
                if not any(problem.is_error for problem in own.problems):
                    entries[file.name] = Entry(mapping=mapping, file=file, linked=linked)
                    compiled[file.name] = shared
        report.add(own.problems)
    return entries


def _parents_first(parsed: Mapping[str, MappingFile]) -> Iterator[MappingFile]:
    given: set[str] = set()
    for file in parsed.values():
        line: list[MappingFile] = []
        one: MappingFile | None = file
        while one is not None and one.name not in given:
            given.add(one.name)
            line.append(one)
            one = parsed.get(one.extends.value) if one.extends else None
        yield from reversed(line)


def _digest(linked: Linked, files: Files) -> str:
    """Name what the mapping rests on: its file, its parents, the tables that are files."""
    paths = [one.path for one in linked.chain]
    paths += sorted(table.value for table in linked.file.tables.values() if isinstance(table, Text))
    digest = sha256()
    for path in paths:
        digest.update(files.get(path, b"") + b"\0")
    return digest.hexdigest()[:12]


def _ambiguous(entries: Mapping[str, Entry], report: Report) -> Iterator[str]:
    """Report pairs that may claim the same message; give those that certainly do."""
    readers = [entry for entry in entries.values() if entry.mapping.message_type and not entry.mapping.is_template]
    wanted = [demands(entry.mapping) for entry in readers]
    index = Index()
    for place, second in enumerate(readers):
        for number in index.candidates(wanted[place]):
            first = readers[number]
            if _are_kin(first.mapping, second.mapping) or exclude(wanted[number], wanted[place]):
                continue
            where = second.file.places.get("when", second.file.place)
            message = f"'{second.mapping.name}' and '{first.mapping.name}' ({first.file.path}) may claim one message"
            hint = "let one extend the other, or make their 'when' exclude each other"
            if first.mapping.conditions == () or second.mapping.conditions == ():
                report.error("M051", where, message, hint)
                yield second.mapping.name
            else:
                report.warning("M051", where, message, hint)
        index.add(wanted[place])


def _are_kin(first: Compiled, second: Compiled) -> bool:
    return first.name in second.lineage or second.name in first.lineage
