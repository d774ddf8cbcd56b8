"""Reading studies, their objects, and the raw data sets of performed steps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, literal_column, select
from sqlalchemy.sql.elements import ColumnElement

from broker.domain.records import RawDataSet
from broker.domain.study import Instance, Study
from broker.store import tables as t
from broker.store.bookkinds import INSTANCE, RAW_DATA_SET, STUDY
from broker.store.codec import moment, read_moment
from broker.store.prepared import Asked, Prepared
from broker.store.readers import Readers, page

_WAITS: ColumnElement[bool] = literal_column("studies.is_complete = 0 AND studies.quiet_at <> ''")

_WRITTEN = ("+00:00 ", "Z~")
"""In a cursor, what stands between the moment and the UID is written so that an address needs no encoding."""


class StudyReader:
    """What is committed of studies."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._due_quiet = Prepared(readers.dialect, _due_quiet)
        self._next_quiet_at = Prepared(readers.dialect, _next_quiet_at)
        self._due_performed = Prepared(readers.dialect, _due_performed)

    async def search(self, *, state: str = "", limit: int = 50, cursor: str = "") -> tuple[list[Study], str]:
        """Find studies, those with the newest object first, and the cursor of the next page (empty: there is none)."""
        c = t.studies.c
        place = c.last_at + " " + c.uid
        query = select(place, c.document).order_by(c.last_at.desc(), c.uid.desc()).limit(limit + 1)
        if state:
            query = query.where(c.state == state)
        if cursor:
            reached = cursor.replace(*_WRITTEN[::-1], 1)
            query = query.where(c.last_at <= reached.partition(" ")[0], place < reached)
        rows, following = page(await self._readers.rows(query), limit)
        return [STUDY.value(row[1]) for row in rows], following.replace(*_WRITTEN, 1)

    async def get(self, study_uid: str) -> Study | None:
        """Find one study."""
        query = select(t.studies.c.document).where(t.studies.c.uid == study_uid)
        return next(iter(await self._readers.values(STUDY, query)), None)

    async def in_state(self, state: str) -> list[Study]:
        """Give all studies in *state*, the oldest first."""
        c = t.studies.c
        return await self._readers.values(STUDY, select(c.document).where(c.state == state).order_by(c.last_at))

    async def due_quiet(self, now: datetime) -> list[str]:
        """Give the Study UIDs whose quiet time is over, the longest waiting first."""
        return [uid for (uid,) in await self._readers.ask(self._due_quiet, {"now": (moment(now),)})]

    async def next_quiet_at(self) -> datetime | None:
        """Tell when the next quiet time is over."""
        ((first,),) = await self._readers.ask(self._next_quiet_at, {})
        return read_moment(first or "")

    async def due_performed(self, now: datetime) -> list[str]:
        """Give the UIDs of MPPS that are to be looked at, the longest waiting first; 100 at a time."""
        return [uid for (uid,) in await self._readers.ask(self._due_performed, {"now": (moment(now),)})]


class InstanceReader:
    """What is committed of objects, and of data sets as they came."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def of_study(self, study_uid: str) -> list[Instance]:
        """Give the objects of a study, by series."""
        c = t.instances.c
        query = select(c.document).where(c.study_uid == study_uid).order_by(c.series_uid, c.sop_uid)
        return await self._readers.values(INSTANCE, query)

    async def paths(self, spool: str) -> set[str]:
        """Give the paths of all objects whose file is in *spool*, relative to it."""
        query = select(t.instances.c.path).where(t.in_spool(spool), t.instances.c.path != "")
        return {path for (path,) in await self._readers.rows(query)}

    async def raw_data_sets(self, uid: str) -> list[RawDataSet]:
        """Give the data sets of an MPPS as they came, in order."""
        c = t.raw_data_sets.c
        query = select(*RAW_DATA_SET.content_columns).where(c.uid == uid).order_by(c.at)
        return await self._readers.values(RAW_DATA_SET, query)


def _due_quiet(asked: Asked) -> Select[Any]:
    c = t.studies.c
    return select(c.uid).where(_WAITS, c.quiet_at <= asked["now"][0]).order_by(c.quiet_at)


def _due_performed(asked: Asked) -> Select[Any]:
    c = t.performed.c
    return select(c.uid).where(t.present(c.look_at), c.look_at <= asked["now"][0]).order_by(c.look_at).limit(100)


def _next_quiet_at(asked: Asked) -> Select[Any]:
    return select(func.min(t.studies.c.quiet_at)).where(_WAITS)
