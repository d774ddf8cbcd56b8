"""Users and tokens, added by the command line through the Unix socket."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.web.calls import Asked, Services
from broker.web.moments import iso
from broker.web.refusal import Refusal


async def add_user(services: Services, asked: Asked) -> Response:
    """Add a user, or give one that is there a new password."""
    name = _name(asked)
    is_new = await services.accounts.add_user(name, asked["password"])
    return JSONResponse({"name": name, "created": is_new}, 201 if is_new else 200)


async def add_token(services: Services, asked: Asked) -> Response:
    """Add a token, or replace the one of that name; its secret is shown this once."""
    name, expires_at = _name(asked), asked["expires_at"]
    secret, is_new = await services.accounts.add_token(name, expires_at)
    shape = {"name": name, "token": secret, "created": is_new, "expires_at": iso(expires_at, services.settings.zone)}
    return JSONResponse(shape, 201 if is_new else 200)


def _name(asked: Asked) -> str:
    """Give the name; a colon would end it in HTTP Basic (RFC 7617 2)."""
    name: str = asked["name"]
    if ":" in name or not name.isprintable() or name != name.strip():
        raise Refusal(400, "that name cannot be used", "use letters, digits, dots and dashes; no colon")
    return name
