"""Which mappings a verb is about: a folder, or files and folders inside the one that the configuration names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from broker.cli.options import DEFAULT_CONFIGURATION
from broker.config.destinations import unfit
from broker.config.load import load
from broker.config.mapping_files import read_mapping_files
from broker.config.problems import Problem as Misfit
from broker.config.problems import did_you_mean
from broker.mapping.catalogue import Catalogue, Entry
from broker.mapping.link import Files
from broker.mapping.problems import Place, Problem, render
from broker.mapping.suite import TestResult, run_tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of mappings, loaded whole; *chosen* are the paths below it that were asked for, empty for all."""

    root: Path
    chosen: tuple[str, ...]
    catalogue: Catalogue | None
    found: Sequence[Problem]

    @property
    def problems(self) -> list[Problem]:
        """The problems of what was asked for, with paths as a person would open them."""
        return [self._shown(problem) for problem in self.found if self._is_chosen(problem.place.path)]

    @property
    def count(self) -> int:
        """How many usable mappings were asked for."""
        entries = self.catalogue.entries.values() if self.catalogue else ()
        return sum(self._is_chosen(entry.file.path) for entry in entries)

    def tests(self, name: str = "") -> list[TestResult]:
        """Run the tests of what was asked for whose ``mapping: test`` contains *name*."""
        results = run_tests(self.catalogue, name) if self.catalogue else []
        return [result for result in results if self._is_chosen(result.place.path)]

    def failures(self, results: Sequence[TestResult]) -> list[Problem]:
        """Give each expectation that did not hold as a problem at the line of the expectation."""
        return [
            self._shown(self._failed(result, failure.place, failure.text))
            for result in results
            for failure in result.failures
        ]

    def _failed(self, result: TestResult, place: Place, text: str) -> Problem:
        content = self.catalogue.files.get(place.path, b"") if self.catalogue else b""
        lines = content.decode("utf-8", "replace").splitlines()
        excerpt = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        return Problem(code="test", place=place, message=f"{result.name}: {text}", excerpt=excerpt)

    def _is_chosen(self, path: str) -> bool:
        return not self.chosen or any(path == one or path.startswith(f"{one}/") for one in self.chosen)

    def _shown(self, problem: Problem) -> Problem:
        path = self.root / problem.place.path
        if path.is_relative_to(Path.cwd()):
            path = path.relative_to(Path.cwd())
        return replace(problem, place=problem.place._replace(path=str(path)))


def open_folders(paths: Sequence[Path], config: Path) -> list[Folder]:
    """Load the folders that *paths* mean; without any, the one of the configuration.

    A path inside the configured folder means that part of it, any other folder stands for itself.
    """
    configured = _configured(config)
    if not paths:
        if configured is None:
            raise click.UsageError(f"there is no {config}: name a folder of mappings, or --config")
        return [_load(configured, ())]
    chosen: dict[Path, list[str]] = {}
    for path in paths:
        full = path.resolve()
        is_inside = configured is not None and full != configured and full.is_relative_to(configured)
        root = configured if configured and is_inside else full if full.is_dir() else full.parent
        chosen.setdefault(root, [])
        if full != root:
            chosen[root].append(full.relative_to(root).as_posix())
    return [_load(root, tuple(names)) for root, names in chosen.items()]


def misfits(config: Path, folder: Folder) -> list[Problem]:
    """Tell what in the configuration does not suit the mappings of its *folder*; nothing while these are unsound."""
    if folder.catalogue is None or any(problem.is_error for problem in folder.found):
        return []
    loaded = load(config, os.environ)
    invalid = loaded.invalid(list(unfit(loaded.configuration, folder.catalogue)))
    lines = loaded.text.splitlines()
    return [_of_configuration(problem, loaded.file, lines) for problem in invalid.problems]


def _of_configuration(problem: Misfit, file: str, lines: Sequence[str]) -> Problem:
    where = problem.place
    if where.variable:
        place, excerpt = Place(path=f"environment: {where.variable}"), ""
    else:
        place = Place(path=file, line=where.line, column=where.column, length=where.length)
        excerpt = lines[where.line - 1] if where.line <= len(lines) else ""
    return Problem(code="C021", place=place, message=problem.message, hint=problem.hint, excerpt=excerpt)


def find_entry(folder: Path | None, config: Path, name: str) -> tuple[Entry, Files]:
    """Find the mapping called *name* in *folder*, else in that of the configuration, with all files.

    Raise click.UsageError when there is none; exit with 78 after telling the problems that keep it from being used.
    """
    root = folder or load(config, os.environ).configuration.mappings
    files = read_mapping_files(root)
    catalogue, problems = Catalogue.load(files)
    entry = catalogue.entries.get(name) if catalogue else None
    if entry is not None:
        return entry, files
    errors = [problem for problem in problems if problem.is_error]
    if errors:
        click.echo(render(errors), err=True)
        raise SystemExit(78)
    known = catalogue.entries if catalogue else ()
    hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
    raise click.UsageError(f"no mapping '{name}' in {root}; {hint}")


def _configured(config: Path) -> Path | None:
    if config == DEFAULT_CONFIGURATION and not config.exists():
        return None
    return load(config, os.environ).configuration.mappings


def _load(root: Path, chosen: tuple[str, ...]) -> Folder:
    catalogue, problems = Catalogue.load(read_mapping_files(root))
    return Folder(root=root, chosen=chosen, catalogue=catalogue, found=problems)
