"""Sources and conditions: the two small grammars of mapping language section 3, text in, syntax tree out.

A mistake becomes a problem (M040 in a source, M046 in a condition) and None.
"""

from __future__ import annotations

import re

from broker.mapping.nodes import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    Constant,
    Fact,
    InTable,
    Is,
    Matches,
    Name,
    Not,
    Path,
    Pick,
    Source,
    State,
    Term,
)
from broker.mapping.problems import Place, Report
from broker.mapping.yamlfile import Text

LENGTH_LIMIT = 2_000
NESTING_LIMIT = 20
HIGHEST = 999

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"[^"]*")
    |(?P<path>(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<segment_pick>[^\]]*)\])?-(?P<field>[0-9]+)
        (?:\[(?P<pick>[^\]]*)\])?(?:\.(?P<component>[0-9]+)(?:\.(?P<sub>[0-9]+))?)?)(?![\w.\[-])
    |(?P<name>\$(?P<named>[a-z_][a-z0-9_]*)(?:\.(?P<name_component>[0-9]+)(?:\.(?P<name_sub>[0-9]+))?)?)(?![\w.])
    |(?P<fact>[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)+)
    |(?P<mark>!=|=|\(|\))
    |(?P<word>\$?\w+|.)""",
    re.VERBOSE,
)
_PICK = re.compile(r"(?P<first>[0-9]+)(?:\.(?P<second>[0-9]+))?(?:=(?P<text>.+))?")
_NUMBERS = ("field", "component", "sub")
_PATH_HINT = "a path looks like PID-3.1 (segment, dash, field, dot, component)"


class _Fault(Exception):
    def __init__(self, place: Place, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.place, self.message, self.hint = place, message, hint


def parse_source(text: Text, report: Report) -> Source | None:
    """Read ``term or term ...``."""
    try:
        reader = _Reader(text)
        terms = [reader.term()]
        while reader.take("or"):
            terms.append(reader.term())
        reader.end('write "or" between sources, quotes around a constant')
        return tuple(terms)
    except _Fault as fault:
        report.error("M040", fault.place, fault.message, fault.hint)
        return None


def parse_condition(text: Text, report: Report) -> Condition | None:
    """Read a condition: tests joined by and, or, not and parentheses."""
    try:
        reader = _Reader(text)
        condition = reader.condition(0)
        reader.end("join tests with and, or, not")
        return condition
    except _Fault as fault:
        report.error("M046", fault.place, fault.message, fault.hint)
        return None


class _Reader:
    def __init__(self, text: Text) -> None:
        self.text = text
        if len(text.value) > LENGTH_LIMIT:
            raise _Fault(text.place, f"longer than {LENGTH_LIMIT} characters")
        self.tokens = [found for found in _TOKEN.finditer(text.value) if found.lastgroup != "space"]
        self.at = 0

    def peek(self, ahead: int = 0) -> re.Match[str] | None:
        tokens, place = self.tokens, self.at + ahead
        return tokens[place] if place < len(tokens) else None

    def take(self, word: str) -> bool:
        token = self.peek()
        if token is None or token.group() != word:
            return False
        self.at += 1
        return True

    def place(self, token: re.Match[str] | None) -> Place:
        if token is None:
            return self.text.part(len(self.text.value), 1)
        return self.text.part(token.start(), len(token.group()))

    def end(self, hint: str) -> None:
        token = self.peek()
        if token is not None:
            raise _Fault(self.place(token), f"'{token.group()}' is one too many", hint)

    def term(self) -> Term:
        token = self.peek()
        if token is None:
            raise _Fault(self.place(None), "a source is missing", _PATH_HINT)
        self.at += 1
        place, word = self.place(token), token.group()
        match token.lastgroup:
            case "path":
                return self._path(token, place)
            case "name":
                component, sub = int(token["name_component"] or 0), int(token["name_sub"] or 0)
                return Name(name=token["named"], component=component, subcomponent=sub, text=word, place=place)
            case "fact":
                return Fact(text=word, place=place)
            case "text":
                return Constant(value=word[1:-1], text=word, place=place)
        hint = _PATH_HINT if word[:1].isupper() else f'write "{word}" in quotes if it is a constant'
        raise _Fault(place, f"'{word}' is not a path, a \"text\" or a $name", hint)

    def _path(self, token: re.Match[str], place: Place) -> Path:
        numbers = [int(number) if number else 0 for number in token.group(*_NUMBERS)]
        if any(token[name] and not 1 <= number <= HIGHEST for name, number in zip(_NUMBERS, numbers, strict=True)):
            raise _Fault(place, f"fields and components count from 1 to {HIGHEST}", _PATH_HINT)
        segment_pick, pick = token["segment_pick"], token["pick"]
        return Path(
            segment=token["segment"],
            segment_pick=None if segment_pick in (None, "*") else self._pick(segment_pick, place),
            every_segment=segment_pick == "*",
            field=numbers[0],
            pick=None if pick in (None, "*") else self._pick(pick, place),
            every=pick == "*",
            component=numbers[1],
            subcomponent=numbers[2],
            text=token.group(),
            place=place,
        )

    def _pick(self, text: str, place: Place) -> Pick:
        found = _PICK.fullmatch(text.strip())
        if found is None or int(found["first"]) == 0 or (found["second"] and not found["text"]):
            raise _Fault(place, f"'[{text}]' picks nothing", "write a number, as in OBX[2]-5, or PID-3[4=CITY].1")
        if not found["text"]:
            return Pick(index=int(found["first"]))
        return Pick(first=int(found["first"]), second=int(found["second"] or 0), text=found["text"].strip())

    def condition(self, depth: int) -> Condition:
        if depth > NESTING_LIMIT:
            raise _Fault(self.text.place, f"more than {NESTING_LIMIT} levels of parentheses")
        anything = [self._conjunction(depth)]
        while self.take("or"):
            anything.append(self._conjunction(depth))
        return anything[0] if len(anything) == 1 else AnyOf(conditions=tuple(anything))

    def _conjunction(self, depth: int) -> Condition:
        everything = [self._unit(depth)]
        while self.take("and"):
            everything.append(self._unit(depth))
        return everything[0] if len(everything) == 1 else AllOf(conditions=tuple(everything))

    def _unit(self, depth: int) -> Condition:
        negated = self.take("not")
        condition: Condition
        if self.take("("):
            condition = self.condition(depth + 1)
            if not self.take(")"):
                raise _Fault(self.place(self.peek()), "a ) is missing")
        else:
            condition = self._test()
        return Not(condition=condition) if negated else condition

    def _test(self) -> Condition:
        term = self.term()
        token = self.peek()
        word = token.group() if token else ""
        self.at += 1
        match word:
            case "=" | "!=":
                return Compare(term=term, values=self._values(), negated=word == "!=")
            case "is":
                return Is(term=term, state=self._state())
            case "matches":
                return Matches(term=term, glob=self._string())
            case "in":
                if not self.take("table"):
                    raise _Fault(self.place(self.peek()), "'table' is missing", "write: in table name")
                return InTable(term=term, table=self._table())
        hint = 'use: = "text", != "text", is present, is missing, is null, matches "CT*", in table name'
        raise _Fault(self.place(token), f"'{term.text}' is not compared with anything", hint)

    def _state(self) -> State:
        for state in ("present", "missing", "null"):
            if self.take(state):
                return state
        token = self.peek()
        word = f"is {token.group()}" if token else "is"
        raise _Fault(self.place(token), f"'{word}' is unknown", "use: is present, is missing, is null")

    def _values(self) -> tuple[str, ...]:
        values = [self._string()]
        while self._is_another_value():
            self.at += 1
            values.append(self._string())
        return tuple(values)

    def _is_another_value(self) -> bool:
        following, string, beyond = self.peek(), self.peek(1), self.peek(2)
        if following is None or following.group() != "or" or string is None or string.lastgroup != "text":
            return False
        return beyond is None or beyond.group() not in ("=", "!=", "is", "matches", "in")

    def _string(self) -> str:
        token = self.peek()
        if token is None or token.lastgroup != "text":
            shown = token.group() if token else ""
            raise _Fault(self.place(token), f"'{shown}' is not a \"text\"", f'write "{shown}" in quotes')
        self.at += 1
        return token.group()[1:-1]

    def _table(self) -> Text:
        token = self.peek()
        if token is None or token.lastgroup not in ("word", "fact"):
            raise _Fault(self.place(token), "the name of a table is missing")
        self.at += 1
        return Text(value=token.group(), place=self.place(token))
