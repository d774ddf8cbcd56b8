"""Values to JSON documents and back, exactly; moments to texts that sort."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_core import from_json

T = TypeVar("T")


def dump(row: Any, without: set[str] | None = None) -> str:
    """Write *row*, a dataclass of the domain, as JSON; its attributes *without* are left out.

    Raises ValueError on what JSON or UTF-8 cannot hold, and on values of other types than declared: they could not be read.
    """
    return _adapter(type(row)).serializer.to_json(row, exclude=without, warnings="error").decode()


def load(kind: type[T], document: str, others: Mapping[str, Any]) -> T:
    """Read a value of *kind* from its JSON document and the attributes that were left out of it."""
    if others:
        found: T = _adapter(kind).validate_python({**from_json(document), **others})
    else:
        found = _adapter(kind).validate_json(document)
    return found


def prepare(kind: type[Any]) -> None:
    """Make now what `dump` and `load` make when they first see a value of *kind*."""
    _adapter(kind)


@lru_cache(maxsize=512)
def moment(at: datetime | None) -> str:
    """Write an aware moment in UTC with microseconds, all of one width; None is the empty text."""
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="microseconds")


def moment_now() -> str:
    """Write the present moment."""
    return moment(datetime.now(UTC))


def read_moment(text: str) -> datetime | None:
    """Read what `moment` wrote."""
    return datetime.fromisoformat(text) if text else None


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    found = _adapters.get(kind)
    if found is None:
        found = _adapters[kind] = TypeAdapter(kind)
    return found


_adapters: dict[type[Any], TypeAdapter[Any]] = {}
