"""Why a message, or one order of it, is not taken: what the header says, and what mapping and order book say (policies 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from broker.errors import BrokerError
from broker.hl7.message import Message
from broker.mapping.engine import Rejection

ORDERS = frozenset({"ORM", "OMI", "OMG"})
"""Order traffic: a message that no mapping takes is refused, for a lost order means no scan."""
PASSED_OVER = frozenset({"ADT", "SIU", "ORR", "ORG", "ORI", "ORL", "OSR", "ACK"})
"""Patient and scheduling traffic, and responses: ignored when no mapping takes them, so that a broadcast feed goes on."""
RESPONSES = frozenset("OK CR DR HR OR XR RR RQ UA UC UD UF UH UM UR UX NA".split())
"""Order controls (HL7 table 0119) that answer somebody else's request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Why a message, or one order of it, is not taken."""

    text: str
    hint: str
    code: str
    ack: str = "AE"
    location: str = ""


def refused_header(message: Message, processing_ids: Sequence[str]) -> Fault | None:
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
    if processing_id not in processing_ids:
        allowed = ", ".join(processing_ids)
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


def unclaimed(message: Message, is_passing: bool) -> Fault | None:
    """Say why a message that no mapping takes is refused; None: it is passed over where that is allowed (policies 1.4)."""
    kind = message.header.value(9, component=1)
    if kind in PASSED_OVER and is_passing:
        return None
    hint = (
        f"a mapping with `from: hl7/{message.type}` whose `when` fits would take it"
        if kind in ORDERS
        else "this listener takes orders (ORM^O01), patients (ADT) and appointments (SIU)"
    )
    text = f"no mapping takes {message.type}"
    return Fault(text=text, hint=hint, code="201" if kind in ORDERS else "200", ack="AR", location="MSH^1^9")


def rejected(rejection: Rejection) -> Fault:
    """Tell why a mapping refuses an order."""
    return Fault(text=rejection.text, hint=rejection.hint, code=rejection.hl7_code, location=rejection.location)


def unknown_control(control: str, group: int) -> Fault:
    """Tell that the mapping does not know an order control code."""
    location = f"ORC^{group}^1"
    if not control:
        return Fault(text="ORC-1 is empty", hint="say NW, XO, CA, DC, OC or SC", code="101", location=location)
    return Fault(
        text=f"order control {control} is not known",
        hint="add it to `action` of the mapping, or send NW, XO, CA, DC, OC or SC",
        code="103",
        location=location,
    )


def fault_of(error: BrokerError) -> Fault:
    """Tell *error*."""
    return Fault(text=error.message, hint=error.hint, code=error.hl7_code, ack=error.ack, location=error.location)
