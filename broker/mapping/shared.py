"""What a mapping shares with its parent: attributes whose rules are the same, and so is everything that they name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from broker.mapping.places import Places
from broker.mapping.syntax import Each, MappingFile, Rule

if TYPE_CHECKING:
    from broker.mapping.items import Attribute

Value = TypeVar("Value")


class Named(Mapping[str, Value]):
    """What rules may name, of one *kind*: let, tables, declared fields. Each name that is asked for goes to *asked*."""

    def __init__(self, kind: str, known: Mapping[str, Value], asked: set[tuple[str, str]]) -> None:
        self._kind, self._known, self._asked = kind, known, asked

    def __getitem__(self, name: str) -> Value:
        self._asked.add((self._kind, name))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A compiled attribute with what it was made of; *named* is what its rule asked for, by kind and name."""

    rule: Rule
    each: Each | None
    named: Mapping[tuple[str, str], Any]
    attribute: Attribute


class Shared:
    """The attributes of one mapping while it is compiled, with the *places* that they look at.

    With a *parent* of the same *version* it begins with the parent's: places keep their numbers, so that what was compiled
    for the parent runs in the child. A parent has no errors, and what it warns of, it has said itself.
    """

    def __init__(self, file: MappingFile, tables: Mapping[str, Any], version: str, parent: Shared | None) -> None:
        self.version = version
        self._known: Mapping[str, Mapping[str, Any]] = {"let": file.let, "tables": tables, "declared": file.declare}
        self._asked: set[tuple[str, str]] = set()
        self.let, self.tables, self.declared = (Named(kind, own, self._asked) for kind, own in self._known.items())
        before = parent if parent is not None and parent.version == version else None
        self.places: Places = before.places.copy() if before else Places()
        self._made: dict[tuple[str, int], Made] = before._made.copy() if before else {}

    def get_or_make(self, path: str, rule: Rule, each: Each | None, make: Callable[[], Attribute]) -> Attribute:
        """Give the attribute that *rule* makes at *path* inside *each*: the one of before while all that it names is the same."""
        made = self._made.get((path, id(rule)))
        if made is None or made.each is not each or not self._is_as_before(made.named):
            before = self._asked.copy()
            self._asked.clear()
            attribute = make()
            named = {(kind, name): self._known[kind].get(name) for kind, name in self._asked}
            made = self._made[path, id(rule)] = Made(rule=rule, each=each, named=named, attribute=attribute)
            self._asked.update(before)
        else:
            self._asked.update(made.named)
        return made.attribute

    def _is_as_before(self, named: Mapping[tuple[str, str], Any]) -> bool:
        return all(self._known[kind].get(name) is value for (kind, name), value in named.items())
