"""Waiting with a bound, free ports, fresh UIDs."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle, islice
from typing import TypeVar

from pydicom.uid import generate_uid

T = TypeVar("T")


_ports = cycle(range(20_000, 32_000))
next(islice(_ports, os.getpid() * 1009 % 12_000, None))
"""Ports below those that the system gives to connections, from a place of this process's own: tests run side by side."""


def free_port() -> int:
    """Find a port that is free now, and that neither another process of the tests nor a connection is going to get."""
    while True:
        port = next(_ports)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def is_open(port: int) -> bool:
    """Say whether somebody listens on *port*."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def eventually(what: Callable[[], T], seconds: float = 30.0) -> T:
    """Wait until *what* gives something true; fail with what it gave last."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing came within {seconds} s; last: {found!r}")
        time.sleep(0.05)


def stays(what: Callable[[], bool], seconds: float) -> None:
    """Fail when *what* stops being true within *seconds*."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert what()
        time.sleep(0.05)


def new_uid() -> str:
    """Make a UID."""
    return str(generate_uid())
