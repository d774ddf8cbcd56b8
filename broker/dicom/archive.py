"""Archives: what they take (probed), and sending objects to them over one association (policies 6.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import structlog

from broker.dicom.client import Answer, ClientAssociation, NotAccepted, Timeouts, associate
from broker.dicom.storage_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from broker.domain.study import Instance
from broker.errors import BrokerError, Unreachable
from broker.services.notices import Outcome
from broker.services.waiting import wait_at_most
from broker.ul.negotiation import Choice
from broker.ul.pdu import MAX_CONTEXTS, ContextResult

log = structlog.get_logger()

Pair = tuple[str, str]
"""(SOP class, transfer syntax)."""

PROBED_AGAIN_SECONDS = 3600.0
PROBE_RETRY_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSettings:
    """A node that objects are forwarded to; *ae* is its AE title, *calling* ours towards it."""

    ae: str
    host: str
    port: int
    calling: str
    timeouts: Timeouts = field(default_factory=Timeouts)


Located = Callable[[Instance], tuple[Path, int]]
"""Where an instance is: its file, and the offset of the data set in it."""


class ArchiveNode:
    """One archive: sends objects to it and asks what it takes."""

    def __init__(self, settings: ArchiveSettings, located: Located) -> None:
        self._settings = settings
        self._located = located
        self._taken: frozenset[Pair] = frozenset()
        self._has_changed = asyncio.Event()

    async def send(self, instances: Sequence[Instance]) -> AsyncIterator[Outcome]:
        """Send each instance as it is, in its own transfer syntax (services.forwarding.Archive).

        Objects of more kinds than one association can propose wait for the next. An association that ends over an
        object is the object's: ``broken``.
        """
        pairs = list(dict.fromkeys((one.sop_class, one.transfer_syntax) for one in instances))[:MAX_CONTEXTS]
        try:
            async with self._associate(pairs) as association:
                for instance in instances:
                    if (instance.sop_class, instance.transfer_syntax) not in pairs:
                        return
                    outcome = await self._store(association, instance)
                    yield outcome
                    if outcome.kind == "broken":
                        association.abort()
                        return
        except BrokerError as fault:
            yield Outcome(kind="down", text=str(fault))

    async def _store(self, association: ClientAssociation, instance: Instance) -> Outcome:
        try:
            path, offset = await asyncio.to_thread(self._located, instance)
            answer = await association.store(
                instance.sop_class, instance.sop_uid, instance.transfer_syntax, path, offset=offset
            )
        except NotAccepted as fault:
            if (instance.sop_class, instance.transfer_syntax) in self._taken:
                self._has_changed.set()
            return Outcome(kind="retry", text=str(fault))
        except Unreachable as fault:
            return Outcome(kind="broken", text=str(fault))
        except OSError as fault:
            return Outcome(kind="retry", text=f"the object cannot be read from the spool: {fault.strerror or fault}")
        if answer.is_success:
            return Outcome(kind="delivered")
        return Outcome(kind="retry", text=_refusal(self._settings.ae, answer))

    def _associate(self, pairs: Iterable[Pair]) -> AbstractAsyncContextManager[ClientAssociation]:
        settings = self._settings
        return associate(
            settings.host,
            settings.port,
            calling=settings.calling,
            called=settings.ae,
            contexts=[(sop_class, [transfer_syntax]) for sop_class, transfer_syntax in pairs],
            timeouts=settings.timeouts,
        )

    async def probe(self, private_classes: Collection[str]) -> frozenset[Pair]:
        """Ask which SOP classes in which transfer syntaxes the archive takes; raise Unreachable when it is down."""
        classes = sorted(STORAGE_CLASSES | set(private_classes))
        taken: set[Pair] = set()
        for pairs in _chunks((sop_class, syntax) for sop_class in classes for syntax in TRANSFER_SYNTAXES):
            async with self._associate(pairs) as association:
                taken.update(association.accepted)
        self._taken = frozenset(taken)
        self._has_changed.clear()
        return self._taken

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Wait until the archive refuses what it took when it was probed, at most *timeout_seconds*."""
        await wait_at_most(timeout_seconds, self._has_changed)


class Acceptance:
    """What we take from modalities: what every archive that could be asked takes, so that nothing strands."""

    def __init__(self, storage_classes: Collection[str], private_by_ae: dict[str, frozenset[str]]) -> None:
        self._storage_classes = storage_classes
        self._private_by_ae = private_by_ae
        self._taken: dict[str, frozenset[Pair]] = {}

    def choose(self, abstract_syntax: str, offered: tuple[str, ...], calling_ae: str) -> Choice:
        """Choose the transfer syntax of a storage context: the proposer's first that all archives take."""
        is_private = abstract_syntax not in self._storage_classes
        if is_private and abstract_syntax not in self._private_by_ae.get(calling_ae, ()):
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        for transfer_syntax in offered:
            if all((abstract_syntax, transfer_syntax) in taken for taken in self._taken.values()):
                return transfer_syntax
        return ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED

    async def watch(self, ae: str, node: ArchiveNode, private_classes: Collection[str]) -> None:
        """Ask *node* until it has answered, then hourly and when it proves to have changed, for ever."""
        while True:
            try:
                self._taken[ae] = await node.probe(private_classes)
            except BrokerError as fault:
                log.info("archive.not_probed", node=ae, error=str(fault))
                await asyncio.sleep(PROBE_RETRY_SECONDS)
            else:
                log.info("archive.probed", node=ae, count=len(self._taken[ae]))
                await node.wait_for_change(PROBED_AGAIN_SECONDS)


def _refusal(ae: str, answer: Answer) -> str:
    comment = f": {answer.comment}" if answer.comment else ""
    return f"{ae} answered {answer.status:04X}H{comment}"


def _chunks(pairs: Iterator[Pair]) -> Iterator[list[Pair]]:
    while chunk := list(islice(pairs, MAX_CONTEXTS)):
        yield chunk
