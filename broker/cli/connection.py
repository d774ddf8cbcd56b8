"""Talking to the broker: HTTP over the Unix socket beside its database, or with the database when none runs."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import httpx

from broker.config.load import load
from broker.errors import BrokerError, ConfigurationError, Unreachable

_SECONDS = 30.0
_LONGEST_SOCKET = 107


class Refused(BrokerError):
    """The broker understood and said no; *body* is its answer."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body.get("error") or f"HTTP {status}"), code="C010", hint=str(body.get("hint") or ""))
        self.status = status
        self.body = body


class Connection:
    """Asks the broker that runs with a configuration, or when none does its database.

    Raises Unreachable when none does, click.UsageError for a parameter that it does not take, Refused for the rest.
    """

    def __init__(self, config: Path) -> None:
        self._config = config
        self._configuration = load(config, os.environ).configuration
        self._socket = self._configuration.socket
        self._has_told = False

    def get(self, path: str, **parameters: str | int | None) -> Any:
        """Ask for *path* with the parameters that are not None."""
        given = {name.rstrip("_"): value for name, value in parameters.items() if value is not None}
        return self._ask("GET", path, params=given)

    def post(self, path: str, **body: Any) -> Any:
        """Send *body* to *path*."""
        return self._ask("POST", path, json={name: value for name, value in body.items() if value is not None})

    def _ask(self, method: str, path: str, **more: Any) -> Any:
        if len(os.fsencode(self._socket)) > _LONGEST_SOCKET:
            raise Unreachable(
                f"the path of the socket {self._socket} is too long", code="C011", hint="shorten database"
            )
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # the socket is not TLS: no authority's certificate is read
        transport = httpx.HTTPTransport(uds=str(self._socket), verify=nobody)
        try:
            with httpx.Client(
                transport=transport, base_url="http://broker", timeout=_SECONDS, trust_env=False
            ) as client:
                answer = client.request(method, path, **more)
        except PermissionError:
            raise self._unreachable(
                "its socket belongs to another user", "use the broker's user, as in sudo -u"
            ) from None
        except httpx.TimeoutException:
            raise self._unreachable(f"it did not answer in {_SECONDS:g} s", "look at its log") from None
        except httpx.ConnectError:
            answer = self._ask_database(method, path, **more)
        except httpx.TransportError as fault:
            raise self._unreachable(f"no answer on {self._socket} ({fault})", "look at its log") from None
        return self._read(answer)

    def _ask_database(self, method: str, path: str, **more: Any) -> httpx.Response:
        file, start = self._configuration.database_file, f"start it: broker run --config {self._config}"
        if file is not None and not file.exists():
            raise self._unreachable(f"it does not run, and there is no database {file}", start)
        from broker.cli.offline import ask

        try:
            answer = asyncio.run(ask(self._configuration, method, path, **more))
        except ConfigurationError as fault:
            raise self._unreachable(fault.message, fault.hint) from None
        if not self._has_told:
            click.echo("no broker runs: its database was asked", err=True)
            self._has_told = True
        return answer

    def _read(self, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError:
            raise self._unreachable("what answers on its socket is no broker", "") from None
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            raise self._unreachable(str(body.get("error")), str(body.get("hint")))
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise click.UsageError("; ".join(filter(None, (body.get("error"), body.get("hint")))))
        if answer.is_error:
            raise Refused(answer.status_code, body)
        return body

    def _unreachable(self, why: str, hint: str) -> Unreachable:
        return Unreachable(f"the broker of {self._config} cannot be reached: {why}", code="C011", hint=hint)
