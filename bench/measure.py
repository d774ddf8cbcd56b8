"""Measuring in turns, so that a machine that is slow for a while is slow for everybody; and the table."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench.servers import AE, Server
from bench.wire import Caller, PeerFault, Work, drive


@dataclass(frozen=True, slots=True)
class Limits:
    """How long one server is asked in each round, and how often at most."""

    rounds: int = 5
    seconds: float = 0.4
    turns: int = 200


@dataclass(slots=True)
class Figure:
    """What one server did: the time of each turn in seconds, and by round its turns in a second."""

    times: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The median time of a turn, in milliseconds."""
        return median(self.times) * 1e3

    @property
    def best(self) -> float:
        """The shortest time of a turn, in milliseconds."""
        return min(self.times) * 1e3

    @property
    def rate(self) -> float:
        """The median over the rounds of turns in a second."""
        return median(self.rates)


_turn_numbers = itertools.count(0, 1_000_000)


def measure(servers: Sequence[Server], work: Work, limits: Limits, callers: int = 1) -> dict[tuple[str, str], Figure]:
    """Let each server do *work* in each round, one after another; the first turns of each are not counted."""
    figures = {(server.name, server.dress): Figure() for server in servers}
    everybody = {
        (server.name, server.dress): [Caller(server.port, AE, f"BENCH{n}", work) for n in range(callers)]
        for server in servers
    }
    for number in range(limits.rounds + 1):
        for server in servers:
            key = server.name, server.dress
            _show(f"{server.name} {server.dress}, round {number}")
            try:
                taken, seconds = _round(everybody[key], work, limits if number else Limits(1, 0.1, callers))
            except (OSError, PeerFault) as fault:
                raise PeerFault(f"{server.name}: {fault}") from fault
            if number:
                figures[key].times += taken
                figures[key].rates.append(len(taken) / seconds)
    _show("")
    return figures


def _round(callers: list[Caller], work: Work, limits: Limits) -> tuple[list[float], float]:
    try:
        if work.is_open:
            for caller in callers:
                caller.open()
        return drive(callers, next(_turn_numbers), limits.turns, limits.seconds)
    finally:
        if work.is_open:
            for caller in callers:
                caller.close()


def _show(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
