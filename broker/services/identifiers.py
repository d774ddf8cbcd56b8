"""Identifiers that sort by the order in which they were made (ULID): 48 bits of milliseconds, 80 random bits."""

from __future__ import annotations

from random import Random
from threading import Lock

from broker.ports import Clock

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_RANDOM_BITS = 80
_TAIL_BITS = 30
_STEP_BITS = 24


class Ulids:
    """Makes ULIDs, each greater than the one before, from any thread.

    Those of one millisecond differ by a random step: it shows in the tail alone, so the head is written once.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._chance = Random()
        self._last = 0
        self._head = -1
        self._written_head = ""
        self._lock = Lock()

    def __call__(self) -> str:
        """Make a new one: 26 characters, Crockford base 32."""
        now = int(self._clock().timestamp() * 1000)
        with self._lock:
            if now > self._last >> _RANDOM_BITS:
                self._last = now << _RANDOM_BITS | self._chance.getrandbits(_RANDOM_BITS - 1)
            else:
                self._last += 1 + self._chance.getrandbits(_STEP_BITS)
            head = self._last >> _TAIL_BITS
            if head != self._head:
                self._head = head
                self._written_head = "".join([_PAIRS[(head >> shift) & 1023] for shift in range(90, -1, -10)])
            last = self._last
            return self._written_head + _PAIRS[last >> 20 & 1023] + _PAIRS[last >> 10 & 1023] + _PAIRS[last & 1023]
