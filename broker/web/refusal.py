"""Answers that are no success: what is wrong, and what to do about it, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from broker.errors import BrokerError
from broker.web.headers import SECURITY

_HINTS = {
    404: "/api/openapi.json lists every path",
    405: "/api/openapi.json lists the methods of every path",
}


class Refusal(Exception):
    """A request that is answered with *status*, an error text, a hint and, by name, whatever else helps."""

    def __init__(self, status: int, error: str, hint: str = "", **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.hint = hint
        self.more = more


def refuse(status: int, error: str, hint: str = "", headers: Mapping[str, str] | None = None, **more: Any) -> Response:
    """Write a refusal as ``{"error", "hint"}``."""
    return JSONResponse({"error": error, "hint": hint, **more}, status, headers=headers)


async def on_refusal(_: Request, refusal: Exception) -> Response:
    """Answer a Refusal that a route raised."""
    assert isinstance(refusal, Refusal)
    return refuse(refusal.status, refusal.error, refusal.hint, **refusal.more)


async def on_broker_error(_: Request, error: Exception) -> Response:
    """Answer a fault of the broker: 503 when a later attempt may pass (AR), else 400."""
    assert isinstance(error, BrokerError)
    return refuse(503 if error.ack == "AR" else 400, error.message, error.hint)


async def on_http_exception(_: Request, exception: Exception) -> Response:
    """Answer what the router has no route for."""
    assert isinstance(exception, HTTPException)
    hint = _HINTS.get(exception.status_code, "")
    return refuse(exception.status_code, exception.detail.lower(), hint, exception.headers)


async def on_fault(_: Request, __: Exception) -> Response:
    """Answer a fault of ours; the server logs it."""
    return refuse(500, "a fault of the broker", "its log says more", SECURITY)
