"""Modality Worklist FIND as SCP (PS3.4 K.4): an identifier in, worklist items out, those encoded before as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import structlog

from broker.dicom.answers import Answers, Identifier
from broker.dicom.charset import CharacterSet
from broker.dicom.dictionary import BY_KEY
from broker.dicom.service import Answer, Failure, Request, Response
from broker.dicom.transport import WRITE_LIMIT
from broker.domain.query import Query
from broker.domain.worklist import Caller, WorklistEntry
from broker.errors import BrokerError
from broker.ul.dimse import Kind, Status

log = structlog.get_logger()

WORKLIST_FIND: Final = "1.2.840.10008.5.1.4.31"
_BREATH = 64
"""Answers that are sent together, before others get a turn."""


class Search(Protocol):
    """Finds the entries that match a query and are listed for its caller, in the order they are answered in."""

    async def __call__(self, query: Query, caller: Caller, /) -> Sequence[WorklistEntry]:
        """Search; raise BrokerError when the store cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """A caller with what its node's settings say of answers: a forced character set, a limit on their number."""

    caller: Caller
    charset: CharacterSet | None = None
    answer_limit: int | None = None


class FindWorklist:
    """Answers C-FIND: *search* finds, *asker* knows the settings of a calling AE title."""

    def __init__(self, search: Search, asker: Callable[[str], Asker], answers: Answers | None = None) -> None:
        self._search = search
        self._asker = asker
        self._answers = answers or Answers()

    async def __call__(self, request: Request, /) -> AsyncIterator[Answer]:
        """Answer *request* with a data set for each match; raise Failure A900H for one that cannot be understood."""
        if request.command.kind != Kind.C_FIND_RQ:
            raise Failure(Status.UNRECOGNIZED_OPERATION, "operation not supported")
        identifier = self._read(request)
        asker = self._asker(request.calling_ae)
        try:
            entries = await self._search(identifier.query, asker.caller)
        except BrokerError as error:
            log.error("worklist.search_failed", calling=request.calling_ae, code=error.code, error=error.message)
            raise Failure(Status.UNABLE_TO_PROCESS, error.message) from error
        limit = len(entries) if asker.answer_limit is None else asker.answer_limit
        form = self._answers.form(identifier, asker.caller, request.transfer_syntax, asker.charset)
        transliterated = 0
        listed = entries[:limit]
        for start in range(0, len(listed), _BREATH):
            batch = listed[start : start + _BREATH]
            answers = self._answers.encode(batch, form)
            for entry, answer in zip(batch, answers, strict=True):
                if answer.faults:
                    log.error("worklist.value_left_out", order_id=entry.order_id, part=", ".join(answer.faults))
                transliterated += not answer.is_whole
            raw = [answer.raw for answer in answers]
            for together in map(_warned, raw) if identifier.query.ignored else _pieces(raw):
                yield together
        if transliterated:
            log.warning("worklist.text_transliterated", calling=request.calling_ae, count=transliterated)
        log.info("worklist.answered", calling=request.calling_ae, count=min(limit, len(entries)))
        if len(entries) > limit:
            yield Response(
                status=Status.OUT_OF_RESOURCES,
                comment=f"{len(entries)} matches, answered the first {limit}: ask for less",
            )

    def _read(self, request: Request) -> Identifier:
        if request.command.sop_class not in ("", request.abstract_syntax):
            raise Failure(Status.DOES_NOT_MATCH_CLASS, "the SOP class is not that of the presentation context")
        if not request.data_set:
            raise Failure(Status.DOES_NOT_MATCH_CLASS, "no identifier")
        try:
            return self._answers.read(request.data_set, request.transfer_syntax)
        except BrokerError as error:
            raise _refusal(request, error) from error


def _pieces(answers: list[bytes]) -> tuple[list[bytes], ...]:
    """Cut *answers* so that no more than the limit, but at least one, is written at once."""
    if sum(map(len, answers)) <= WRITE_LIMIT:
        return (answers,)
    half = len(answers) // 2
    return (*_pieces(answers[:half]), *_pieces(answers[half:])) if half else (answers,)


def _warned(answer: bytes) -> Response:
    """Say that a key was not compared (PS3.4 K.4.1.1.4)."""
    return Response(status=Status.PENDING_WITHOUT_ALL_KEYS, data_set=answer)


def _refusal(request: Request, error: BrokerError) -> Failure:
    """Refuse an identifier that cannot be read, naming the key where it is one."""
    log.warning("worklist.identifier_refused", calling=request.calling_ae, code=error.code, error=error.message)
    failure = Failure(Status.DOES_NOT_MATCH_CLASS, f"{error.location} {error.message}".strip())
    known = BY_KEY.get(error.location)
    if known:
        failure.response = replace(failure.response, offending_elements=(known.tag,))
    return failure
