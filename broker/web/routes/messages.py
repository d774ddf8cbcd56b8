"""Received HL7 messages: found, shown with every stage, sent through the intake again."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse, Response

from broker.errors import without_values
from broker.mapping.trace import as_trace
from broker.services.messages import Replayed, Wanted, told
from broker.web.calls import Asked, Services
from broker.web.refusal import Refusal
from broker.web.shapes import message_line, message_shape


async def list_messages(services: Services, asked: Asked) -> Response:
    """Find messages, the newest first; patient data is left out unless they are asked for in full."""
    accession = asked["accession"] or ""
    orders = await services.inspection.orders.by_accession(accession) if accession else ()
    wanted = Wanted(
        state=asked["state"] or "",
        listener=asked["listener"] or "",
        type=asked["type"] or "",
        order_id=asked["order"] or "",
        control_id=asked["control_id"] or "",
        sender=asked["sender"] or "",
        accession=accession,
        accession_order_ids=frozenset(order.id for order in orders),
        numbers=tuple(number for name in ("patient_id", "number") if (number := asked[name])),
        text=asked["text"] or "",
        since=asked["from"],
        until=asked["to"],
    )
    found, cursor = await services.messages.search(wanted, asked["limit"], asked["cursor"] or "")
    shape = message_shape if asked["detail"] == "full" else message_line
    items = [shape(message, services.settings.zone) for message in found]
    return JSONResponse({"items": items, "next": cursor or None})


async def show_message(services: Services, asked: Asked) -> Response:
    """Show one message as it came, what its mapping made of it, and its answer."""
    message = await services.inspection.messages.get(asked["id"])
    if message is None:
        raise Refusal(404, f"no message {asked['id']}", "GET /api/v1/messages lists them; they are kept for a time")
    translated = await services.messages.translation(message) if services.mappings.is_open else None
    trace = as_trace(translated[1], shows_values=asked["mask"] != "true") if translated else None
    return JSONResponse({**message_shape(message, services.settings.zone), "trace": trace})


async def replay_message(services: Services, asked: Asked) -> Response:
    """Send a stored message through the intake again."""
    replayed = await services.messages.replay(
        asked["id"],
        is_dry=asked["dry_run"] == "true",
        which="old" if asked["mapping"] == "old" else "current",
        is_forced=asked["force"] == "true",
    )
    if replayed.refusal == "no such message":
        raise Refusal(404, f"no message {asked['id']}", "GET /api/v1/messages lists them; they are kept for a time")
    return JSONResponse(_shape(replayed), 409 if replayed.refusal else 200)


def _shape(replayed: Replayed) -> dict[str, Any]:
    return {
        "message": replayed.message_id,
        "dry_run": replayed.is_dry,
        "outcome": replayed.outcome or None,
        "mapping": replayed.mapping or None,
        "error": without_values(replayed.error) or None,
        "refusal": replayed.refusal or None,
        "events": [{"event": event.type, "text": event.text} for event in replayed.events],
        "told": told(replayed),
    }
