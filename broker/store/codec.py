"""Values to JSON documents and back, exactly; moments to texts that sort."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def dump(row: Any) -> str:
    """Write *row*, a dataclass of the domain, as JSON. Raises ValueError on what JSON or UTF-8 cannot hold."""
    return _adapter(type(row)).dump_json(row).decode()


def load(kind: type[T], document: str) -> T:
    """Read a value of *kind* from its JSON document."""
    found: T = _adapter(kind).validate_json(document)
    return found


@lru_cache(maxsize=512)
def moment(at: datetime | None) -> str:
    """Write an aware moment in UTC with microseconds, all of one width; None is the empty text."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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
