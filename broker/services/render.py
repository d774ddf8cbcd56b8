"""Notices as HL7 or JSON: an event's facts through an outbound mapping, for one receiver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.errors import BrokerError
from broker.hl7.charset import encode
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """What MSH-3 to -6 and MSH-11 say to one receiver."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str
    processing_id: str


class Renderer:
    """Writes the notice of a delivery with the mapping in force."""

    def __init__(self, catalogue: Callable[[], Catalogue], mapping: str, receiver: Receiver) -> None:
        self._catalogue = catalogue
        self._mapping = mapping
        self._receiver = receiver

    def __call__(self, delivery: Delivery, event: Event) -> bytes:
        """Write the message; raise BrokerError when the mapping refuses the facts."""
        destination = asdict(self._receiver)
        return _written(self._catalogue().get(self._mapping), self._mapping, event, delivery.control_id, destination)


class JsonRenderer:
    """Writes an event as JSON with the mapping in force."""

    def __init__(self, catalogue: Callable[[], Catalogue], mapping: str) -> None:
        self._catalogue = catalogue
        self._mapping = mapping

    def __call__(self, event: Event) -> bytes:
        """Write the object; raise BrokerError when the mapping refuses the facts."""
        return _written(self._catalogue().get(self._mapping), self._mapping, event, event.id, {})


def _written(mapping: Mapping | None, name: str, event: Event, control_id: str, destination: dict[str, str]) -> bytes:
    if mapping is None:
        raise BrokerError(f"there is no mapping {name}", code="R060", hint="put it back, then retry the delivery")
    about = {**event.facts.get("event", {}), "type": event.type, "control_id": control_id}
    rendering = mapping.render({**event.facts, "event": about, "destination": destination})
    if rendering.rejections:
        refused = rendering.rejections[0]
        raise BrokerError(str(refused), code="R061", hint=f"see the rule at {refused.rule}, then retry the delivery")
    return encode(rendering.text, rendering.charset).raw
