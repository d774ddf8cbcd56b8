"""Identifiers that sort by the order in which they were made (ULID): 48 bits of milliseconds, 80 random bits."""

from __future__ import annotations

import secrets
from threading import Lock

from broker.ports import Clock

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_RANDOM_BITS = 80


class Ulids:
    """Makes ULIDs, each greater than the one before, from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0
        self._lock = Lock()

    def __call__(self) -> str:
        """Make a new one: 26 characters, Crockford base 32."""
        now = int(self._clock().timestamp() * 1000) << _RANDOM_BITS
        with self._lock:
            if now >> _RANDOM_BITS > self._last >> _RANDOM_BITS:
                self._last = now | secrets.randbits(_RANDOM_BITS - 1)
            else:
                self._last += 1 + secrets.randbits(32)
            value = self._last
        return "".join(_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10))
