"""Intake: one HL7 message from its bytes to its answer. Committed, then acknowledged (contract, section 3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import structlog

from broker.domain.booking import OrderRequest
from broker.domain.events import Event
from broker.domain.order import Order, Patient
from broker.domain.records import MessageState, StoredMessage, Tombstone
from broker.errors import BrokerError
from broker.hl7.ack import AckError, Code, acknowledge, refuse_unreadable
from broker.hl7.charset import Decoded, decode, encode
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Rejection, Translation
from broker.ports import Changes, Clock, Held, Ids, Job, Key, Writer
from broker.services.orderbook import Draft, Source, apply_request, request_numbers
from broker.services.requests import order_requests

log = structlog.get_logger()

REMEMBERED = timedelta(days=7)
ORDERS = frozenset({"ORM", "OMI", "OMG"})
"""Order traffic: a message that no mapping takes is refused, for a lost order means no scan."""
PASSED_OVER = frozenset({"ADT", "SIU", "ORR", "ORG", "ORI", "ORL", "OSR", "ACK"})
"""Patient and scheduling traffic, and responses: ignored when no mapping takes them, so that a broadcast feed goes on."""
RESPONSES = frozenset("OK CR DR HR OR XR RR RQ UA UC UD UF UH UM UR UX NA".split())
"""Order controls (HL7 table 0119) that answer somebody else's request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerRules:
    """What a site says of one listener's messages (policies 1)."""

    name: str
    charset: tuple[str, ...] = ("UTF-8", "windows-1252")
    on_refused: Literal["nak", "park"] = "nak"
    unhandled: Literal["ignore", "reject"] = "ignore"
    processing_ids: tuple[str, ...] = ("P",)
    transient: Literal["AR", "AE", "close"] = "AR"


class Counters(Protocol):
    """What intake counts."""

    def message(self, listener: str, outcome: str) -> None:
        """Count one message: accepted, ignored, refused, parked, repeated or failed."""

    def warnings(self, mapping: str, count: int) -> None:
        """Count warnings of a mapping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a message, or one order of it, is not taken."""

    text: str
    hint: str
    code: str
    ack: str = "AE"
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message that could be read, with what is needed to answer it."""

    id: str
    raw: bytes
    message: Message
    decoded: Decoded
    rules: ListenerRules
    now: datetime
    warnings: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of a repeat: listener, sender, MSH-10 and content; none without MSH-10 (policies 1.3)."""
        if not self.message.control_id:
            return ""
        header = self.message.header
        parts = (self.rules.name, header.raw(3), header.raw(4), header.raw(10))
        digest = hashlib.blake2b("\x1f".join(parts).encode(), digest_size=20)
        digest.update(self.raw)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a message asks: requests that may take effect, and the faults of the rest."""

    requests: tuple[OrderRequest, ...] = ()
    faults: tuple[Fault, ...] = ()
    is_ignored: bool = False
    mapping: str = ""
    warnings: tuple[str, ...] = ()


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
            self._counters.message(rules.name, "refused")
            log.warning("message.unreadable", listener=rules.name, code=error.code, error=error.message)
            at = self._clock().astimezone(self._zone)
            return encode(refuse_unreadable(raw, AckError.of(error), control_id=self._ids()[-20:], at=at), "utf-8").raw
        wanted = self._want(received)
        try:
            outcome, answer = await self._writer.run(self._job(received, wanted))
        except BrokerError as error:
            self._counters.message(rules.name, "failed")
            log.error("message.failed", listener=rules.name, code=error.code, error=error.message)
            if rules.transient == "close":
                return b""
            return self._answer(received, rules.transient, (_fault(error),))
        self._counters.message(rules.name, outcome)
        self._counters.warnings(wanted.mapping, len(wanted.warnings))
        return answer

    def _read(self, raw: bytes, rules: ListenerRules) -> Received:
        decoded = decode(raw, rules.charset)
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
            warnings=tuple(warnings),
        )

    def _want(self, received: Received) -> Wanted:
        """Read what the message asks for, without the store."""
        message = received.message
        refused = _refused_header(message, received.rules)
        if refused is not None:
            return Wanted(faults=(refused,))
        mapping = self._catalogue().find(message)
        if mapping is None:
            return _without_mapping(message, received.rules)
        translation = mapping.translate(message, self._zone, received.now)
        return self._asked(received, translation, f"{mapping.name}@{mapping.digest[:8]}")

    def _asked(self, received: Received, translation: Translation, mapping: str) -> Wanted:
        faults = [_rejected(rejection) for rejection in translation.rejections]
        outputs = []
        for output in translation.outputs:
            if output.action:
                outputs.append(output)
            elif output.control not in RESPONSES:
                faults.append(_unknown_control(output.control, output.group))
        warnings = tuple(str(warning) for warning in translation.warnings)
        requests = order_requests(outputs, received.message.sending_facility)
        return Wanted(
            requests=tuple(requests),
            faults=tuple(faults),
            is_ignored=not requests and not faults,
            mapping=mapping,
            warnings=(*received.warnings, *warnings),
        )

    def _job(self, received: Received, wanted: Wanted) -> Job[tuple[str, bytes]]:
        key = received.key
        keys: list[Key] = [(StoredMessage, ("key", key))] if key else []
        for request in wanted.requests:
            for number in request_numbers(request):
                keys.append((Tombstone, number))
                keys.append((Order, ("accession", number[3]) if number[0] == "accession" else number))
            if request.patient is not None:
                keys.append((Patient, ("identity", request.patient.patient_id, request.patient.issuer)))

        def decide(held: Held) -> Changes[tuple[str, bytes]]:
            return self._decide(held, received, wanted, key)

        return Job(keys=tuple(keys), decide=decide)

    def _decide(self, held: Held, received: Received, wanted: Wanted, key: str) -> Changes[tuple[str, bytes]]:
        """Decide inside the transaction: a repeat, or the requests' effects with their answer."""
        known = held.find(StoredMessage, "key", key) if key else ()
        before = known[0] if known and received.now - known[0].received_at < REMEMBERED else None
        if before is not None and before.state in ("accepted", "ignored"):
            return Changes(result=("repeated", before.answer))
        draft = Draft(held)
        order_ids, faults = self._apply(draft, received, wanted)
        state, answer = self._settle(received, wanted, faults)
        stored = StoredMessage(
            id=before.id if before else received.id,
            key=key,
            listener=received.rules.name,
            sender=f"{received.message.header.raw(3)}|{received.message.header.raw(4)}",
            control_id=received.message.control_id,
            type=received.message.type,
            received_at=before.received_at if before else received.now,
            raw=received.raw,
            charset=received.decoded.codec,
            state=state,
            answer=answer,
            mapping=wanted.mapping,
            code=faults[0].code if faults else "",
            error="; ".join(fault.text for fault in faults),
            warnings=wanted.warnings or received.warnings,
            order_ids=tuple(dict.fromkeys(order_ids)),
            count=before.count + 1 if before else 1,
        )
        events = list(draft.events)
        if faults and (before is None or before.error != stored.error):
            events.append(self._rejected_event(stored, order_ids))
        old = tuple(replace(one, key="") for one in known) if known and before is None else ()
        return Changes(
            save=(*old, *draft.patients.values(), *draft.orders.values(), *draft.tombstones, stored),
            delete=tuple(draft.used_tombstones),
            events=tuple(events),
            result=(state, answer),
        )

    def _apply(self, draft: Draft, received: Received, wanted: Wanted) -> tuple[list[str], list[Fault]]:
        """Apply every request that can be; a request that cannot leaves the others their effect (policies 2.8)."""
        order_ids: list[str] = []
        faults = list(wanted.faults)
        for request in wanted.requests:
            source = Source(
                text=f"{received.message.type} {request.control} from {received.message.sending_application}".rstrip(),
                now=received.now,
                zone=self._zone,
                ref={"message": received.id},
            )
            try:
                order_id = apply_request(draft, request, source, self._ids, len(wanted.requests) > 1)
            except BrokerError as error:
                faults.append(_fault(error))
            else:
                order_ids.extend([order_id] if order_id else [])
        return order_ids, faults

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
            control_id=self._ids()[-20:],
            at=received.now.astimezone(self._zone),
            errors=[AckError(location=f.location, code=f.code, text=f.text, hint=f.hint) for f in faults],
        )
        return encode(text, received.message.codec).raw

    def _rejected_event(self, stored: StoredMessage, order_ids: Sequence[str]) -> Event:
        return Event(
            id=self._ids(),
            type="message.rejected",
            at=stored.received_at,
            text=f"{stored.type} from {stored.sender} {stored.state}: {stored.error}",
            order_id=order_ids[0] if order_ids else "",
            is_alarm=stored.state == "parked",
            facts={
                "message": {
                    "id": stored.id,
                    "type": stored.type,
                    "control_id": stored.control_id,
                    "state": stored.state,
                    "code": stored.code,
                }
            },
            ref={"message": stored.id},
        )


def _refused_header(message: Message, rules: ListenerRules) -> Fault | None:
    """Say why the header alone refuses the message, if it does (HL7 table 0357, 200-203)."""
    kind = message.header.value(9, component=1)
    if not kind:
        return Fault(
            text="MSH-9 is empty",
            hint="fill in the message type, for example ORM^O01",
            code="101",
            location="MSH^1^9",
        )
    processing_id = message.processing_id or "P"
    if processing_id not in rules.processing_ids:
        allowed = ", ".join(rules.processing_ids)
        return Fault(
            text=f"processing ID {processing_id} is not taken here",
            hint=f"send MSH-11 as {allowed}, or add it to processing_ids of the listener",
            code="202",
            ack="AR",
            location="MSH^1^11",
        )
    if message.version and not message.version.startswith("2"):
        return Fault(
            text=f"version {message.version} is not HL7 2",
            hint="send HL7 2.1 to 2.8",
            code="203",
            ack="AR",
            location="MSH^1^12",
        )
    return None


def _without_mapping(message: Message, rules: ListenerRules) -> Wanted:
    kind = message.header.value(9, component=1)
    if kind in PASSED_OVER and rules.unhandled == "ignore":
        return Wanted(is_ignored=True)
    hint = (
        f"a mapping with `from: hl7/{message.type}` whose `when` fits would take it"
        if kind in ORDERS
        else "this listener takes orders (ORM^O01), patients (ADT) and appointments (SIU)"
    )
    text = f"no mapping takes {message.type}"
    fault = Fault(text=text, hint=hint, code="201" if kind in ORDERS else "200", ack="AR", location="MSH^1^9")
    return Wanted(faults=(fault,))


def _rejected(rejection: Rejection) -> Fault:
    return Fault(text=rejection.text, hint=rejection.hint, code=rejection.hl7_code, location=rejection.location)


def _unknown_control(control: str, group: int) -> Fault:
    location = f"ORC^{group}^1"
    if not control:
        return Fault(text="ORC-1 is empty", hint="say NW, XO, CA, DC, OC or SC", code="101", location=location)
    return Fault(
        text=f"order control {control} is not known",
        hint="add it to `action` of the mapping, or send NW, XO, CA, DC, OC or SC",
        code="103",
        location=location,
    )


def _fault(error: BrokerError) -> Fault:
    return Fault(text=error.message, hint=error.hint, code=error.hl7_code, ack=error.ack, location=error.location)
