"""Intake: one HL7 message from its bytes to its answer. Committed, then acknowledged (contract, section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from broker.domain.events import Event
from broker.domain.order import Order, Patient
from broker.domain.records import MessageState, StoredMessage, Tombstone
from broker.errors import BrokerError
from broker.hl7.ack import SALVAGED, AckError, Code, acknowledge, refuse_unreadable
from broker.hl7.charset import decode, encode
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import IGNORE, Translation
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.draft import Draft, request_numbers
from broker.services.orderbook import Source, apply_request
from broker.services.received import Effects, ListenerRules, Received, Wanted, remarks_of, repeat_key, stored_message
from broker.services.refusals import (
    RESPONSES,
    Fault,
    fault_of,
    refused_header,
    rejected,
    unclaimed,
    unknown_control,
)
from broker.services.requests import order_requests
from broker.services.unreadable import rejected_event, unreadable_job

log = structlog.get_logger()

REMEMBERED = timedelta(days=7)
LARGE = 32 * 1024
"""Bytes of a message from which it is mapped in a thread: hundreds of orders would keep everybody else waiting."""
MANY_KEYS = 256
"""Keys of a message's orders from which its effects are worked out in a thread as well."""


class Counters(Protocol):
    """What intake counts."""

    def message(self, listener: str, outcome: str) -> None:
        """Count one message: accepted, ignored, refused, parked, repeated or failed."""

    def warnings(self, mapping: str, count: int) -> None:
        """Count warnings of a mapping."""


class Intake:
    """The use case *message in*. *catalogue* gives the mappings in force."""

    def __init__(
        self,
        writer: Writer,
        catalogue: Callable[[], Catalogue],
        zone: ZoneInfo,
        clock: Clock,
        ids: Ids,
        counters: Counters,
    ) -> None:
        self._writer = writer
        self._catalogue = catalogue
        self._zone = zone
        self._clock = clock
        self._ids = ids
        self._counters = counters

    async def handle(self, raw: bytes, rules: ListenerRules) -> bytes:
        """Take one frame's content; give the answer, which is on disk with all its effects. ``b""``: close."""
        try:
            received = self._read(raw, rules)
        except BrokerError as error:
            return await self._refuse(raw, rules, error)
        wanted = await asyncio.to_thread(self._want, received) if len(raw) > LARGE else self._want(received)
        try:
            outcome, answer = await self._writer.run(self._job(received, wanted))
        except BrokerError as error:
            self._counters.message(rules.name, "failed")
            log.error("message.failed", listener=rules.name, code=error.code, error=error.message)
            if rules.transient == "close":
                return b""
            return self._answer(received, rules.transient, (fault_of(error),))
        self._counters.message(rules.name, outcome)
        self._counters.warnings(wanted.mapping, len(wanted.warnings))
        return answer

    async def replay(
        self, stored: StoredMessage, rules: ListenerRules, catalogue: Catalogue, *, is_dry: bool
    ) -> tuple[str, str, str, Sequence[Event]]:
        """Evaluate *stored* afresh with the mappings of *catalogue*, whatever became of it; give outcome, mapping, error, events.

        Nothing is written when *is_dry*. The row keeps its place; nobody is answered. Raise BrokerError 207 as `handle`.
        """
        received = replace(self._read(stored.raw, rules), id=stored.id)
        wanted = self._want(received, catalogue)
        job = self._job(received, wanted, stored)

        def decide(held: Held) -> Changes[tuple[str, str, str, Sequence[Event]]]:
            changes = job.decide(held)
            row = next((row for row in changes.save if isinstance(row, StoredMessage) and row.id == stored.id), stored)
            result = (changes.result[0], wanted.mapping, row.error, changes.events)
            if is_dry:
                return Changes(result=result)
            return Changes(save=changes.save, delete=changes.delete, events=changes.events, result=result)

        return await self._writer.run(Job(keys=job.keys, decide=decide, is_large=job.is_large))

    async def _refuse(self, raw: bytes, rules: ListenerRules, error: BrokerError) -> bytes:
        """Refuse what is no message; the sender hears it also when the store cannot write."""
        self._counters.message(rules.name, "refused")
        log.warning("message.unreadable", listener=rules.name, code=error.code, error=error.message)
        now = self._clock()
        answer = refuse_unreadable(raw, AckError.of(error), control_id=self._ids()[-20:], at=now.astimezone(self._zone))
        written = encode(answer, SALVAGED).raw
        try:
            await self._writer.run(unreadable_job(raw, rules.name, error, written, self._ids, now))
        except BrokerError as fault:
            log.error("message.failed", listener=rules.name, code=fault.code, error=fault.message)
        return written

    def _read(self, raw: bytes, rules: ListenerRules) -> Received:
        decoded = decode(raw, rules.charset)
        message = Message.parse(decoded.text, decoded.codec)
        assumed = "" if raw.isascii() or message.charset_name else self._assumed_charset(message)
        if assumed:
            decoded = decode(raw, (assumed,))
            message = Message.parse(decoded.text, decoded.codec)
        warnings = list(decoded.warnings)
        if not message.control_id:
            warnings.append("MSH-10 is empty: a repeat of this message cannot be recognised")
        if not message.processing_id:
            warnings.append("MSH-11 is empty: taken as P")
        return Received(
            id=self._ids(),
            raw=raw,
            message=message,
            decoded=decoded,
            rules=rules,
            now=self._clock(),
            key=repeat_key(raw, message, rules),
            warnings=tuple(warnings),
        )

    def _assumed_charset(self, message: Message) -> str:
        """Give the set that the sender's mapping assumes where MSH-18 is empty, or ``""``."""
        try:
            mapping = self._catalogue().find(message)
        except BrokerError:
            return ""  # told when the message is mapped
        return mapping.assumed_charset if mapping else ""

    def _want(self, received: Received, catalogue: Catalogue | None = None) -> Wanted:
        """Read what the message asks for, without the store."""
        message = received.message
        refused = refused_header(message, received.rules.processing_ids)
        if refused is not None:
            return Wanted(faults=(refused,))
        try:
            mapping = (catalogue or self._catalogue()).find(message)
        except BrokerError as error:
            return Wanted(faults=(fault_of(error),))
        if mapping is None:
            fault = unclaimed(message, received.rules.unhandled == "ignore")
            return Wanted(faults=(fault,)) if fault else Wanted(is_ignored=True)
        translation = mapping.translate(message, self._zone, received.now)
        return self._asked(received, translation, f"{mapping.name}@{mapping.digest[:8]}")

    def _asked(self, received: Received, translation: Translation, mapping: str) -> Wanted:
        faults = [rejected(rejection) for rejection in translation.rejections]
        outputs = []
        for output in translation.outputs:
            if output.action == IGNORE:
                continue
            if output.action:
                outputs.append(output)
            elif output.control not in RESPONSES or received.rules.unhandled == "reject":
                faults.append(unknown_control(output.control, output.group))
        warnings = tuple(str(warning) for warning in translation.warnings)
        requests = order_requests(outputs, received.message.sending_facility)
        return Wanted(
            requests=tuple(requests),
            faults=tuple(faults),
            is_ignored=not requests and not faults,
            mapping=mapping,
            warnings=(*received.warnings, *warnings),
        )

    def _job(self, received: Received, wanted: Wanted, replayed: StoredMessage | None = None) -> Job[tuple[str, bytes]]:
        key = received.key
        keys: list[Key] = [(StoredMessage, ("key", key))] if key else []
        for request in wanted.requests:
            for number in request_numbers(request):
                keys.append((Tombstone, number))
                keys.append((Order, ("accession", number[3]) if number[0] == "accession" else number))
            if request.patient is not None:
                keys.append((Patient, ("identity", request.patient.patient_id, request.patient.issuer)))

        def decide(held: Held) -> Changes[tuple[str, bytes]]:
            return self._decide(held, received, wanted, replayed)

        return Job(keys=tuple(keys), decide=decide, is_large=len(keys) > MANY_KEYS)

    def _decide(
        self, held: Held, received: Received, wanted: Wanted, replayed: StoredMessage | None
    ) -> Changes[tuple[str, bytes]]:
        """Decide inside the transaction: a repeat, or the requests' effects with their answer."""
        known = held.find(StoredMessage, "key", received.key) if received.key else ()
        before = known[0] if known and received.now - known[0].received_at < REMEMBERED else None
        if replayed is not None:
            before = replace(replayed, count=replayed.count - 1)
        elif before is not None and before.state in ("accepted", "ignored"):
            return Changes(result=("repeated", before.answer))
        draft = Draft(held)
        effects = self._apply(draft, received, wanted)
        problem_key = received.problem_key if effects.faults else ""
        if before is None and problem_key:
            before = next(iter(held.find(StoredMessage, "problem", problem_key)), None)
        state, answer = self._settle(received, wanted, effects.faults)
        stored = stored_message(received, wanted, effects, state, answer, before)
        events = draft.events
        remarks = remarks_of(stored)
        if remarks or stored.id != received.id:
            events = [replace(event, text=event.text + remarks, ref={"message": stored.id}) for event in events]
        if before is not None and before.error == stored.error:
            events = [event for event in events if event.type != "order.noted"]
        elif effects.faults:
            events.append(rejected_event(stored, self._ids()))
        forgotten = tuple(replace(one, key="") for one in known if one.id != stored.id)
        return Changes(
            save=(*forgotten, *draft.patients.values(), *draft.orders.values(), *draft.tombstones, stored),
            delete=tuple(draft.used_tombstones),
            events=tuple(events),
            result=(state, answer),
        )

    def _apply(self, draft: Draft, received: Received, wanted: Wanted) -> Effects:
        """Apply every request that can be; a request that cannot leaves the others their effect (policies 2.8)."""
        order_ids: list[str] = []
        faults = list(wanted.faults)
        warnings: list[str] = []
        kind, sender = received.message.type, received.message.sending_application
        for request in wanted.requests:
            source = Source(
                text=f"{kind} {request.control} from {sender}".rstrip(),
                now=received.now,
                zone=self._zone,
                ref={"message": received.id},
            )
            try:
                found = apply_request(draft, request, source, self._ids, len(wanted.requests) > 1)
            except BrokerError as error:
                faults.append(fault_of(error))
            else:
                order_ids += found
                if not found:
                    warnings.append(f"{request.control}: no order has this number; nothing is changed")
        return Effects(order_ids=tuple(dict.fromkeys(order_ids)), faults=tuple(faults), warnings=tuple(warnings))

    def _settle(self, received: Received, wanted: Wanted, faults: Sequence[Fault]) -> tuple[MessageState, bytes]:
        if not faults:
            state: MessageState = "ignored" if wanted.is_ignored else "accepted"
            return state, self._answer(received, "AA", ())
        if received.rules.on_refused == "park":
            return "parked", self._answer(received, "AA", ())
        code: Code = "AR" if any(fault.ack == "AR" for fault in faults) else "AE"
        return "refused", self._answer(received, code, faults)

    def _answer(self, received: Received, code: Code, faults: Sequence[Fault]) -> bytes:
        text = acknowledge(
            received.message,
            code,
            control_id=received.id[-20:],
            at=received.now.astimezone(self._zone),
            errors=[AckError(location=f.location, code=f.code, text=f.text, hint=f.hint) for f in faults],
        )
        return encode(text, received.message.codec).raw
