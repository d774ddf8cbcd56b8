"""A simulated HIS: sends orders over one MLLP connection and expects AA."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from broker.errors import BrokerError
from broker.mllp.client import MllpClient
from broker.sim.orders import SimulatedOrder


class SimulatedHis:
    """Orders, moves and takes back; *clock* tells local time."""

    def __init__(self, port: int, clock: Callable[[], datetime]) -> None:
        self._client = MllpClient("127.0.0.1", port)
        self._clock = clock

    async def send(self, order: SimulatedOrder, control: str) -> None:
        """Send *order* with its order control code (NW, XO, CA); raise BrokerError unless it is accepted."""
        control_id = uuid4().hex[:20]
        answer = await self._client.send(order.message(control, control_id, self._clock()).encode(), control_id)
        if not answer.is_accepted:
            raise BrokerError(f"the broker answered {answer.code} to {control}: {answer.text}", code="X003")

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()
