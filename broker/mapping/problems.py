"""What is wrong with a mapping file and where: problems with file, line, column, an excerpt and a suggestion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

EXCERPT_LENGTH = 200
CHOICES_LIMIT = 6_000
PROBLEM_LIMIT = 500
"""Of one file: who has made more mistakes mends these first."""


class Place(NamedTuple):
    """Where something stands in a file; line and column count from 1, *length* in characters. A tuple is quickly made."""

    path: str
    line: int = 1
    column: int = 1
    length: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake. *code* is that of mapping language section 7, *excerpt* the line it stands on."""

    code: str
    place: Place
    message: str
    hint: str = ""
    excerpt: str = ""
    severity: Severity = "error"

    @property
    def is_error(self) -> bool:
        """Say whether the mapping cannot be used."""
        return self.severity == "error"


class TooManyProblems(Exception):
    """A file has more mistakes than anybody reads; the last problem of the report says so."""


class Report:
    """Collects the problems of one pass; knows the lines of the files (those of *whole*), for the excerpts."""

    def __init__(self, whole: Report | None = None) -> None:
        self.problems: list[Problem] = []
        self._seen: set[Problem] = set()
        self._texts: dict[str, str | list[str]] = whole._texts if whole else {}

    def know(self, path: str, text: str) -> None:
        """Remember the text of a file."""
        self._texts[path] = text

    def error(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Note a mistake that makes the mapping unusable."""
        self._add(code, place, message, hint, "error")

    def warning(self, code: str, place: Place, message: str, hint: str = "") -> None:
        """Note something doubtful."""
        self._add(code, place, message, hint, "warning")

    def _add(self, code: str, place: Place, message: str, hint: str, severity: Severity) -> None:
        lines = self._lines(place.path)
        excerpt = lines[place.line - 1][:EXCERPT_LENGTH] if 0 < place.line <= len(lines) else ""
        problem = Problem(code=code, place=place, message=message, hint=hint, excerpt=excerpt, severity=severity)
        self.add([problem])
        if len(self.problems) >= PROBLEM_LIMIT:
            last = Place(path=place.path, line=place.line)
            message = f"more than {PROBLEM_LIMIT} problems: the rest is not told"
            self.add([Problem(code="M001", place=last, message=message, hint="mend these first")])
            raise TooManyProblems

    def _lines(self, path: str) -> list[str]:
        """Give the lines of a file; most files have no problem, and are never split."""
        found = self._texts.get(path, [])
        if isinstance(found, str):
            found = self._texts[path] = found.splitlines()
        return found

    def add(self, problems: Iterable[Problem]) -> None:
        """Take over problems, each once: a mistake in a parent is found again in every child."""
        for problem in problems:
            if problem not in self._seen:
                self._seen.add(problem)
                self.problems.append(problem)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Say which of *choices* may have been meant: ``did you mean 'PatientID'?``, or nothing."""
    known = list(choices)
    close = get_close_matches(word, known, n=1, cutoff=0.6) if len(known) <= CHOICES_LIMIT else []
    return f"did you mean '{close[0]}'?" if close else ""


def render(problems: Sequence[Problem], style: Literal["text", "json", "github"] = "text") -> str:
    """Write *problems* for a person (with carets), a program, or as annotations of a pull request."""
    if style == "json":
        return json.dumps([_as_json(problem) for problem in problems], ensure_ascii=False, indent=1)
    if style == "github":
        return "\n".join(_annotation(problem) for problem in problems)
    return "\n".join(_with_caret(problem) for problem in problems)


def _with_caret(problem: Problem) -> str:
    lines = [f"{problem.place}: {problem.severity}[{problem.code}] {problem.message}"]
    if problem.excerpt:
        shown = "".join(character if character.isprintable() else " " for character in problem.excerpt)
        marks = "^" * max(1, min(problem.place.length, len(shown) - problem.place.column + 1))
        lines.append(f"{problem.place.line:5d} | {shown}")
        lines.append(f"      | {' ' * (problem.place.column - 1)}{marks} {problem.hint}".rstrip())
    elif problem.hint:
        lines.append(f"      = {problem.hint}")
    return "\n".join(lines)


def _annotation(problem: Problem) -> str:
    text = f"{problem.message} ({problem.hint})" if problem.hint else problem.message
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    place = problem.place
    return f"::{problem.severity} file={place.path},line={place.line},col={place.column},title={problem.code}::{text}"


def _as_json(problem: Problem) -> dict[str, object]:
    place = problem.place
    return {
        "code": problem.code,
        "severity": problem.severity,
        "path": place.path,
        "line": place.line,
        "column": place.column,
        "length": place.length,
        "message": problem.message,
        "hint": problem.hint,
    }
