"""The sockets of the console: TCP for browsers and programs, a Unix socket for the command line."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from broker.errors import ConfigurationError
from broker.web.guard import as_local
from broker.web.settings import WebSettings

log = structlog.get_logger()

CONNECTIONS = 200
BACKLOG = 128
IDLE_SECONDS = 15
HEAD_SECONDS = 30
LONGEST_SOCKET = 107


class WebServer:
    """Serves *app*: `open`, then `serve` in a task of its own, which ends after `stop`."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._settings = settings
        self._servers: list[tuple[uvicorn.Server, socket.socket]] = []
        self._made: Path | None = None

    def open(self) -> None:
        """Take the port and the Unix socket; connections are accepted from now on.

        Raises ConfigurationError when one of them cannot be had. Where the path of the Unix socket is longer than the
        system allows, there is none: the command line says so, everything else works.
        """
        self._servers.append((_server(self._app), _listen(self._settings)))
        host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
        log.info("web.listening", url=f"http://{host}:{self.port}")
        path = self._settings.socket
        if path is None:
            return
        if len(os.fsencode(path)) > LONGEST_SOCKET:
            log.warning("socket.refused", path=str(path), reason="its path is too long", hint="shorten database")
            return
        try:
            self._servers.append((_server(as_local(self._app)), _listen_unix(path)))
            self._made = path
        except ConfigurationError:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The TCP port that was taken."""
        return int(self._servers[0][1].getsockname()[1])

    @property
    def is_accepting(self) -> bool:
        """Say whether every socket is served."""
        return bool(self._servers) and all(server.started and not server.should_exit for server, _ in self._servers)

    async def serve(self) -> None:
        """Answer until `stop`, then close the sockets."""
        try:
            async with asyncio.TaskGroup() as group:
                for server, listening in self._servers:
                    group.create_task(server.serve(sockets=[listening]))
        finally:
            self.close()

    def stop(self, grace: float) -> None:
        """Accept no more; requests in flight have *grace* seconds."""
        for server, _ in self._servers:
            server.config.timeout_graceful_shutdown = max(1, round(grace))
            server.should_exit = True

    def close(self) -> None:
        """Let go of the sockets and take the Unix socket away."""
        for _, listening in self._servers:
            listening.close()
        if self._made is not None:
            self._made.unlink(missing_ok=True)
            self._made = None


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the composition root."""
        yield


class _Protocol(H11Protocol):
    """Closes a connection that does not finish asking: the number of connections is limited."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._rest()
        super().connection_lost(exc)

    def _watch(self) -> None:
        is_asking = self.cycle is None or self.cycle.response_complete
        if not is_asking:
            self._rest()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _rest(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _server(app: ASGIApp) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=IDLE_SECONDS,
        )
    )


def _listen(settings: WebSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"web: cannot listen on {settings.host}:{settings.port}: {error.strerror or error}",
            code="W001",
            hint="set another web.port, or end the program that has it",
        ) from error


def _listen_unix(path: Path) -> socket.socket:
    """Listen on *path* for the owner alone; what is left of a killed broker is replaced (the database is locked)."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
            path.unlink()
        listening.bind(str(path))
        path.chmod(0o600)  # nobody can connect before listen
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"web: cannot make the socket of the command line, {path}: {error.strerror or error}",
            code="W002",
            hint="the database's folder must be there and writable",
        ) from error
    return listening
