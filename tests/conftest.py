"""What every test may ask for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from peers.programs import find_program

Peer = Callable[[str], str]


@pytest.fixture(scope="session")
def peer() -> Peer:
    """Find a peer's program by name: ``peer("findscu")`` is its path (see peers.programs)."""
    return find_program
