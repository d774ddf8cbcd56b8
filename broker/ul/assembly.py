"""From presentation data values to DIMSE messages: command sets are put together, data sets are not (PS3.8 Annex E)."""

from __future__ import annotations

from typing import Final

from broker.ul.dimse import decode_command
from broker.ul.events import CommandReceived, DataReceived
from broker.ul.fault import AbortReason, ProtocolError
from broker.ul.negotiation import AcceptedContext
from broker.ul.pdu import DataValue

MAX_COMMAND: Final = 65_536


class Assembly:
    """Knows what may come next: a command set, or the data set that the last one announced; one message at a time."""

    def __init__(self) -> None:
        self._command = bytearray()
        self._command_context = 0
        self._data_context = 0

    def take(self, context: AcceptedContext, value: DataValue) -> CommandReceived | DataReceived | None:
        """Take the next value, which came in *context*. Raises ProtocolError when it is out of place."""
        if value.is_command:
            return self._take_command(context, value)
        if self._data_context != context.id:
            raise ProtocolError("a data set came that no command announced", AbortReason.UNEXPECTED_PARAMETER)
        if value.is_last:
            self._data_context = 0
        return DataReceived(value.fragment, value.is_last)

    def _take_command(self, context: AcceptedContext, value: DataValue) -> CommandReceived | None:
        if self._data_context or (self._command and self._command_context != context.id):
            raise ProtocolError("a command set came before the last message's end", AbortReason.UNEXPECTED_PARAMETER)
        self._command += value.fragment
        self._command_context = context.id
        if len(self._command) > MAX_COMMAND:
            raise ProtocolError(f"a command set has more than {MAX_COMMAND} bytes")
        if not value.is_last:
            return None
        command = decode_command(bytes(self._command))
        self._command.clear()
        if command.has_data_set:
            self._data_context = context.id
        return CommandReceived(context, command)
