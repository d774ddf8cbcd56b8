"""Load a configuration: read, override, check; every problem at once, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from broker.config.checks import Finding, check
from broker.config.environment import override
from broker.config.explain import explain
from broker.config.model import Configuration
from broker.config.problems import InvalidConfiguration, Place, Problem
from broker.config.source import Complaint, Location, Node, Reader, problem_at
from broker.errors import ConfigurationError

_PASSES = 4
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A sound configuration, and where each of its values is written."""

    configuration: Configuration
    file: str
    text: str
    root: Node

    def invalid(self, complaints: Sequence[Complaint]) -> InvalidConfiguration:
        """Tell *complaints* about values by where they are written."""
        problems = [problem_at(self.root, *complaint) for complaint in complaints]
        return InvalidConfiguration(problems, file=self.file, text=self.text)


class Unfit(ConfigurationError):
    """Values that are well written, but what they name is not there or is not for them."""

    def __init__(self, complaints: Sequence[Complaint]) -> None:
        self.complaints = tuple(complaints)
        told = [f"{'.'.join(map(str, location))}: {message}" for location, message, _ in complaints]
        super().__init__("\n".join(told), code="C021", hint="; ".join(dict.fromkeys(hint for *_, hint in complaints)))


def load(file: Path, environment: Mapping[str, str]) -> Loaded:
    """Load *file* (YAML or JSON), lay ``BROKER__...`` of *environment* over it and check the whole.

    Raise InvalidConfiguration with every problem: syntax, unknown keys, wrong values, what does not go together.
    """
    text = _read(file)
    reader = Reader(folder=file.resolve().parent, environment=environment)
    written = reader.read(text)
    if written is None:
        raise InvalidConfiguration(reader.problems, file=str(file), text=text)
    root = override(written, reader)
    unreadable = {problem.place for problem in reader.problems}
    configuration, found = _check(root, reader.folder)
    problems = [*reader.problems, *(problem for problem in found if problem.place not in unreadable)]
    if configuration is None or problems:
        raise InvalidConfiguration(problems, file=str(file), text=text)
    return Loaded(configuration=configuration, file=str(file), text=text, root=root)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST + 1)
    except OSError as error:
        hint = "name the file with --config" if isinstance(error, FileNotFoundError) else ""
        problem = Problem(place=Place(), message=f"cannot be read: {error.strerror}", hint=hint)
        raise InvalidConfiguration([problem], file=str(file)) from None
    try:
        if len(content) <= _LARGEST:
            return content.decode("utf-8-sig")
        message = "larger than 1 MB: not a configuration"
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text: byte {error.start + 1}"
    raise InvalidConfiguration([Problem(place=Place(), message=message)], file=str(file))


def _check(root: Node, folder: Path) -> tuple[Configuration | None, list[Problem]]:
    """Validate; then, with whatever is wrong left out, check what must go together, so that all is told at once."""
    tree = root.plain()
    problems: list[Problem] = []
    wrong: list[Location] = []
    for number in range(_PASSES):
        try:
            configuration = Configuration.model_validate(tree, context={"folder": folder, "looks": number == 0})
        except ValidationError as invalid:
            errors = invalid.errors(include_url=False)
            problems += [explain(error, root) for error in errors] if number == 0 else []
            wrong += [error["loc"] for error in errors]
            tree = _without(tree, errors)
        else:
            sound = [finding for finding in check(configuration) if not _is_doubtful(finding, wrong)]
            return configuration, [*problems, *(_located(finding, root) for finding in sound)]
    return None, problems


def _without(tree: Any, errors: list[ErrorDetails]) -> Any:
    """Copy *tree* without the values, or for what is missing without the blocks, that *errors* are about."""
    pruned = deepcopy(tree)
    for error in errors:
        steps: list[tuple[dict[str, Any], str]] = []
        block = pruned
        for part in error["loc"]:
            if isinstance(block, dict) and part in block:
                steps.append((block, str(part)))
                block = block[part]
        if steps:
            above, key = steps[-1]
            above.pop(key, None)
    return pruned


def _is_doubtful(finding: Finding, wrong: list[Location]) -> bool:
    def touches(one: Location, other: Location) -> bool:
        shorter = min(len(one), len(other))
        return one[:shorter] == other[:shorter]

    return any(touches(location, about) for location in wrong for about in finding.about)


def _located(finding: Finding, root: Node) -> Problem:
    return problem_at(root, finding.location, finding.message, finding.hint)
