"""Errors that say what is wrong and what to do; any package may raise them."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""(?<!\w)["'“‘](?:[^"'“”‘’]|(?<=\w)["'”’])*["'”’](?!\w)|(?<!\w)["'“‘].*""", re.DOTALL)
"""A quoted value, whose own quotes (O'Neil, D' Angelo) follow a letter; one that does not end is quoted to the end."""


def without_values(text: str) -> str:
    """Take what a text quotes out of it: it may be a name."""
    return _QUOTED.sub("'***'", text)


class BrokerError(Exception):
    """A fault with a code, a message that says what is wrong, and a hint that says what to do.

    *ack* is the acknowledgement code that an HL7 sender gets for it (``AE`` content, ``AR`` not taken or ours),
    *hl7_code* the code of HL7 table 0357, *location* the place in the message as ``SEG^n^field^component``.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        hint: str = "",
        ack: str = "AE",
        hl7_code: str = "207",
        location: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.ack = ack
        self.hl7_code = hl7_code
        self.location = location

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class NothingDone(BrokerError):
    """A fault of ours that has had no effect at all; a later attempt may pass."""


class ConfigurationError(BrokerError):
    """A configuration or mapping that cannot be used; exit code 78."""


class Unreachable(BrokerError):
    """A server that is needed does not answer; exit code 69."""
