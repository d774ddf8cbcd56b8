"""Carries notices to an HL7 receiver and reads its answer by the policy of deliveries (policies 8.1)."""

from __future__ import annotations

from collections.abc import Callable

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.errors import BrokerError, Unreachable
from broker.mllp.client import NO_CONNECTION, Answer, MllpClient
from broker.services.notices import Outcome

PASSING_FAULTS = frozenset({"206", "207"})
"""Codes of table 0357 that a later attempt may get over."""


class HL7Carrier:
    """Writes the message of a delivery with *render* and sends it."""

    def __init__(self, client: MllpClient, render: Callable[[Delivery, Event], bytes]) -> None:
        self._client = client
        self._render = render

    async def carry(self, delivery: Delivery, event: Event) -> Outcome:
        """Make one attempt (see services.notices.Carrier)."""
        try:
            message = self._render(delivery, event)
        except BrokerError as fault:
            return Outcome(kind="dead", text=str(fault))
        try:
            return read(await self._client.send(message, delivery.control_id))
        except Unreachable as fault:
            return Outcome(kind="down" if fault.code == NO_CONNECTION else "broken", text=str(fault))


def read(answer: Answer) -> Outcome:
    """Say what an answer means: AA is delivered, AE is tried three times, AR again only for a passing fault."""
    if answer.is_accepted:
        return Outcome(kind="delivered")
    text = " ".join(filter(None, (answer.code, answer.error_code, answer.text))) or "the answer has no MSA-1"
    match answer.code:
        case "AE" | "CE":
            return Outcome(kind="refused", text=text)
        case "AR" | "CR" if answer.error_code not in PASSING_FAULTS:
            return Outcome(kind="dead", text=text)
        case _:
            return Outcome(kind="retry", text=text)
