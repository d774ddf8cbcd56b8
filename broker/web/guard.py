"""Who may ask: everything passes here before it is routed."""

from __future__ import annotations

import base64
import binascii
from ipaddress import ip_address
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.services.accounts import Accounts
from broker.web.headers import with_security
from broker.web.refusal import refuse
from broker.web.settings import WebSettings

log = structlog.get_logger()

_LOCAL = "radbroker.is_local"
_CALLER = "radbroker.caller"
_CHALLENGE = 'Basic realm="radbroker", charset="UTF-8", Bearer realm="radbroker"'


def as_local(app: ASGIApp) -> ASGIApp:
    """Wrap *app* for the Unix socket: whoever may open that file is an administrator."""

    async def local(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _LOCAL: True}, receive, send)

    return local


def is_local(request: Request) -> bool:
    """Say whether the request came by the Unix socket."""
    return request.scope.get(_LOCAL) is True


def caller_of(request: Request) -> str:
    """Name who asks: a user, a program by its token, the command line, or nobody in particular."""
    if is_local(request):
        return "the command line"
    return str(request.scope.get(_CALLER, "the console, without login"))


class Guard:
    """Middleware: refuses who may not ask, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, *, settings: WebSettings, accounts: Accounts, open_paths: frozenset[str]) -> None:
        self._app = app
        self._settings = settings
        self._accounts = accounts
        self._open_paths = open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or let the request through."""
        app: ASGIApp = await self._refusal(Request(scope)) or self._app
        await app(scope, receive, with_security(send))

    async def _refusal(self, request: Request) -> Response | None:
        if is_local(request) or request.url.path in self._open_paths:
            return None
        if request.method not in ("GET", "HEAD") and _is_foreign(request):
            return refuse(403, "another web site asked for this", "ask from the console itself, or without a browser")
        if self._settings.auth == "none":
            return self._refuse_name(request)
        return await self._refuse_stranger(request)

    def _refuse_name(self, request: Request) -> Response | None:
        """Without login only loopback names will do: a web site could give its own name our address (DNS rebinding)."""
        name = _host(f"//{request.headers.get('host', '')}")
        if name == self._settings.host.lower() or name == "localhost" or _is_loopback(name):
            return None
        return refuse(403, f"this broker is not called {name[:80]!r}", "use http://localhost, or set auth: password")

    async def _refuse_stranger(self, request: Request) -> Response | None:
        said = request.headers.get("authorization", "")
        if said and (name := await self._find_name(said)):
            request.scope[_CALLER] = name
            return None
        challenge = {"www-authenticate": _CHALLENGE}
        if not await self._accounts.has_users():
            hint = "on the broker's own machine: broker user add NAME"
            return refuse(401, "nobody can log in yet", hint, challenge)
        if said:
            log.warning("login.refused", address=request.client.host if request.client else "")
        hint = "a user (broker user add NAME) by HTTP Basic, or a bearer token (broker token add NAME)"
        return refuse(401, "wrong name, password or token" if said else "log in", hint, challenge)

    async def _find_name(self, authorization: str) -> str:
        scheme, _, credentials = authorization.partition(" ")
        match scheme.lower():
            case "basic":
                name, colon, password = _decode(credentials.strip()).partition(":")
                return name if colon and await self._accounts.is_password(name, password) else ""
            case "bearer":
                token = await self._accounts.find_token(credentials.strip())
                return f"token {token.name}" if token else ""
            case _:
                return ""


def _is_foreign(request: Request) -> bool:
    """Say whether a browser asks on behalf of another site; programs send neither header."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _decode(credentials: str) -> str:
    """Decode the credentials of HTTP Basic (RFC 7617): UTF-8, as asked for, or what older programs send."""
    try:
        raw = base64.b64decode(credentials, validate=True)
    except (binascii.Error, ValueError):
        return ""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
