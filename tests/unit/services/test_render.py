"""Events written for their receivers with the mappings in force."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.errors import BrokerError
from broker.mapping.catalogue import Catalogue
from broker.mqtt.carrier import MqttCarrier, MqttSettings
from broker.services.render import JsonRenderer, Receiver, Renderer

MAPPINGS = Path(__file__).parents[3] / "mappings"
NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)
FACTS = {
    "event": {"at": "20260401120000"},
    "patient": {"id": "1", "name": "A^B"},
    "order": {"accession": "A1", "procedure_code": "CTHD"},
    "mpps": {"status": "IN PROGRESS"},
    "study": {"uid": "1.2", "instances": 3},
}
RECEIVER = Receiver(
    sending_application="B", sending_facility="", receiving_application="RIS", receiving_facility="", processing_id="P"
)


@pytest.fixture(scope="module")
def shipped() -> Callable[[], Catalogue]:
    catalogue, _ = Catalogue.load(read_mapping_files(MAPPINGS))
    assert catalogue is not None
    return lambda: catalogue


def event(type: str = "procedure.started", **facts: object) -> Event:
    return Event(id="E1", type=type, at=NOW, text="t", facts={**FACTS, **facts})  # type: ignore[arg-type]


def delivery() -> Delivery:
    times = {"not_before": NOW, "created_at": NOW, "updated_at": NOW}
    return Delivery(id="D1", destination="ris", lane="l", control_id="C1", **times)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["ihe/status-to-orm", "ihe/status-to-omi", "ihe/status-to-omg"])
@pytest.mark.parametrize(("type", "status"), [("procedure.started", "IP"), ("study.available", "CM")])
def test_one_mapping_tells_of_several_events(
    shipped: Callable[[], Catalogue], name: str, type: str, status: str
) -> None:
    message = Renderer(shipped, name, RECEIVER)(delivery(), event(type)).decode()

    assert message.split("\r")[0].split("|")[9] == "C1"
    assert next(line for line in message.split("\r") if line.startswith("ORC")).split("|")[5] == status


def test_an_event_as_json_by_a_mapping(shipped: Callable[[], Catalogue]) -> None:
    written = json.loads(JsonRenderer(shipped, "examples/status-as-json")(event()))

    assert written == {
        "accession": "A1",
        "exam": {"code": "CTHD"},
        "state": "running",
        "images": 3,
        "at": "20260401120000",
    }


@pytest.mark.parametrize(
    ("name", "order", "code"), [("examples/status-as-json", {}, "R061"), ("examples/none", {"accession": "A1"}, "R060")]
)
def test_what_cannot_be_written_is_told(
    shipped: Callable[[], Catalogue], name: str, order: dict[str, str], code: str
) -> None:
    with pytest.raises(BrokerError) as fault:
        JsonRenderer(shipped, name)(event(order=order))

    assert fault.value.code == code


def test_an_event_that_cannot_be_written_is_set_aside(shipped: Callable[[], Catalogue]) -> None:
    render = JsonRenderer(shipped, "examples/none")
    settings = MqttSettings(url="mqtt://127.0.0.1:1", identifier="test")
    carrier = MqttCarrier(settings, lambda event: ("topic", render(event)))

    assert asyncio.run(carrier.carry(delivery(), event())).kind == "dead"
