"""Problems of a configuration and how they are shown: where, what, the line with a caret, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from broker.errors import ConfigurationError

SHOWN = 200
_PASSWORD = re.compile(r"(?<=://)([^\s/:@]*):([^\s@]+)(?=@)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is written: 1-based line and column in the file, or the environment variable that sets it."""

    line: int = 1
    column: int = 1
    length: int = 1
    variable: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, and what to do about it."""

    place: Place
    message: str
    hint: str = ""


class InvalidConfiguration(ConfigurationError):
    """A configuration that cannot be used; its message is the list of all *problems*, ready to print."""

    def __init__(self, problems: Sequence[Problem], *, file: str, text: str = "") -> None:
        self.problems = tuple(sorted(problems, key=_reading_order))
        super().__init__(render(self.problems, file=file, text=text), code="C001")


def render(problems: Sequence[Problem], *, file: str, text: str) -> str:
    """Render *problems* of the file with that *text* as ``file:line:col: error: ...`` blocks and a count."""
    lines = text.splitlines()
    blocks = [_block(problem, file, lines) for problem in problems[:SHOWN]]
    unshown = f", of which {SHOWN} are shown" if len(problems) > SHOWN else ""
    return "\n".join([*blocks, f"{file}: {len(problems)} problem(s){unshown}"])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Suggest the known word that *word* may have been meant to be, as a hint; empty when none is near."""
    by_folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return f"did you mean '{by_folded[near[0]]}'?" if near else ""


def _reading_order(problem: Problem) -> tuple[str, int, int]:
    return problem.place.variable, problem.place.line, problem.place.column


def _block(problem: Problem, file: str, lines: Sequence[str]) -> str:
    place = problem.place
    if place.variable:
        return _with_hint(f"environment: {place.variable}: error: {problem.message}", problem.hint)
    head = f"{file}:{place.line}:{place.column}: error: {problem.message}"
    if not 1 <= place.line <= len(lines):
        return _with_hint(head, problem.hint)
    line = _PASSWORD.sub(lambda found: f"{found[1]}:{'*' * len(found[2])}", lines[place.line - 1]).rstrip()
    caret = " " * (place.column - 1) + "^" * max(1, min(place.length, len(line) - place.column + 1))
    return f"{head}\n{place.line:>5} | {line}\n      | {caret} {problem.hint}".rstrip()


def _with_hint(head: str, hint: str) -> str:
    return f"{head}\n      {hint}" if hint else head
