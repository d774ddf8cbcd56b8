"""Reading kept sets of mappings."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from broker.domain.mappingset import MappingSet
from broker.store import tables as t
from broker.store.readers import Readers
from broker.store.recordkinds import MAPPING_SET


class MappingSetReader:
    """What is committed of sets of mappings."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def newest(self, limit: int) -> Sequence[MappingSet]:
        """Give the newest sets, the last one that was loaded first."""
        query = select(*MAPPING_SET.content_columns).order_by(t.mapping_sets.c.loaded_at.desc()).limit(limit)
        return await self._readers.values(MAPPING_SET, query)

    async def get(self, digest: str) -> MappingSet | None:
        """Find a set by its digest, or by a beginning of it of four characters or more that only it has."""
        if len(digest) < 4:
            return None
        c = t.mapping_sets.c
        query = select(*MAPPING_SET.content_columns).where(c.digest.startswith(digest, autoescape=True)).limit(2)
        found = await self._readers.values(MAPPING_SET, query)
        return found[0] if len(found) == 1 else None
