"""Received HL7 messages."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.web.calls import Asked, Services
from broker.web.refusal import Refusal
from broker.web.shapes import message_line, message_shape


async def list_messages(services: Services, asked: Asked) -> Response:
    """Find messages, the newest first; patient data is left out unless they are asked for in full."""
    found, cursor = await services.inspection.messages.search(
        state=asked["state"] or "",
        listener=asked["listener"] or "",
        type=asked["type"] or "",
        order_id=asked["order"] or "",
        limit=asked["limit"],
        cursor=asked["cursor"] or "",
    )
    shape = message_shape if asked["detail"] == "full" else message_line
    items = [shape(message, services.settings.zone) for message in found]
    return JSONResponse({"items": items, "next": cursor or None})


async def show_message(services: Services, asked: Asked) -> Response:
    """Show one message as it came, and its answer."""
    message = await services.inspection.messages.get(asked["id"])
    if message is None:
        raise Refusal(404, f"no message {asked['id']}", "GET /api/v1/messages lists them; they are kept for a time")
    return JSONResponse(message_shape(message, services.settings.zone))
