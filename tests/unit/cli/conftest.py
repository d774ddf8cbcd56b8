"""A running broker as the command line sees it: HTTP on a Unix socket, answering as the contract says."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli.main import broker as group

Run = Callable[..., Result]


@dataclass
class Running:
    """What it answers by ``METHOD /path``, and what it was asked, with its body."""

    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration of nothing but defaults, in a short folder."""
    (tmp_path / "config").mkdir()
    (tmp_path / "mappings").mkdir()
    (tmp_path / "var").mkdir()
    file = tmp_path / "config/broker.yaml"
    file.write_text("site: test\n")
    return file


@pytest.fixture
def running(config: Path, tmp_path: Path) -> Iterator[Running]:
    """Serve the contract's answers on the socket of *config*."""
    broker = Running()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def answer(self) -> None:
            size = int(self.headers.get("content-length", 0))
            body = json.loads(self.rfile.read(size)) if size else None
            broker.asked.append((f"{self.command} {self.path}", body))
            path = self.path.partition("?")[0]
            status, answer = broker.answers.get(
                f"{self.command} {path}", (404, {"error": f"no {path}", "hint": "look"})
            )
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def address_string(self) -> str:
            return ""

        def log_message(self, format: str, *args: Any) -> None:
            return

    with socketserver.UnixStreamServer(str(tmp_path / "var/broker.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield broker
        server.shutdown()
        thread.join(10)


@pytest.fixture
def run(config: Path) -> Run:
    """Run a verb with *config*; its result, with an error of the broker as ``exception``."""

    def run_verb(*arguments: str, input: str | None = None, with_config: bool = True) -> Result:
        given = [*arguments, "--config", str(config)] if with_config else list(arguments)
        return CliRunner().invoke(group, given, input=input)

    return run_verb
