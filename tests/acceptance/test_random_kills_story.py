"""kill -9 at random instants under sixteen connections: nothing acknowledged is lost, nothing is there twice."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from peers.receivers import Archive, Bus, Ris
from peers.traffic import Traffic
from peers.waiting import eventually

KILLS = {"sqlite": 30, "postgresql": 5}
"""PostgreSQL itself is not killed, and its story of traffic through restarts is told elsewhere: a few are enough."""


@pytest.fixture
def surrounded(hospital: Any, tmp_path: Path) -> Any:
    """A hospital with an archive, a RIS and an MQTT broker, started."""
    archive, ris, bus = Archive(), Ris(), Bus(tmp_path)
    hospital.stoppers += [archive.stop, ris.stop, bus.stop]
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": archive.port, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"]}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": ris.port, "mapping": "ihe/study-to-oru"},
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{bus.port}", "events": ["*"]},
    }
    hospital.archive, hospital.ris, hospital.bus = archive, ris, bus
    hospital.start()
    return hospital


def test_kills_at_random_instants_lose_nothing_and_double_nothing(
    surrounded: Any, story: Any, database_kind: str
) -> None:
    hospital = surrounded
    seed = int(os.environ.get("RADBROKER_SEED") or random.randrange(1_000_000))
    print(f"to see this again: RADBROKER_SEED={seed}")
    chance, traffic = random.Random(seed), Traffic(hospital.hl7_port, hospital.dicom_port, seed)
    traffic.start()
    for _ in range(KILLS[database_kind]):
        kill_at_random(hospital, traffic, chance)
    traffic.stop()
    print(f"{len(traffic.orders)} orders, {len(traffic.examined)} examinations, {traffic.repeats} requests repeated")

    assert (traffic.refused, traffic.faults) == ([], [])
    assert len(traffic.examined) > 0
    assert story.all_orders(hospital) == set(traffic.orders)
    assert len(traffic.orders) == len(set(traffic.orders))
    eventually(lambda: len(hospital.archive.objects) == len(traffic.images), 60)
    assert hospital.archive.objects == traffic.images
    eventually(lambda: not set(traffic.orders) - told(hospital.bus, "order.scheduled").keys(), 60)
    for event in ("procedure.started", "procedure.completed", "study.started", "study.available"):
        eventually(lambda event=event: not set(traffic.examined) - told(hospital.bus, event).keys(), 60)
    for event in ("order.scheduled", "procedure.started", "procedure.completed", "study.started", "study.available"):
        assert twice(told(hospital.bus, event)) == {}
    eventually(lambda: not set(traffic.examined) - reported(hospital.ris.messages).keys(), 60)
    assert twice(reported(hospital.ris.messages)) == {}
    eventually(lambda: not list((hospital.folder / "var" / "spool").rglob("*.[dp]*")))
    assert [
        fault for fault in ("worker.failed", "handler_failed", "request_failed") if fault in hospital.read_log()
    ] == []


def kill_at_random(hospital: Any, traffic: Traffic, chance: random.Random) -> None:
    """Kill the broker at some instant, mostly while it answers, sometimes while it starts; start it again."""
    if chance.random() < 0.2:
        hospital.kill()
        killer = threading.Timer(chance.uniform(0.2, 1.5), lambda: hospital.process.kill())
        killer.start()
        with contextlib.suppress(AssertionError):
            hospital.start(60)
        killer.join()
        hospital.process.wait(60)
    else:
        enough = traffic.answers + chance.randrange(100)
        eventually(lambda: traffic.answers >= enough, 60)
        time.sleep(chance.uniform(0, 0.02))
        hospital.kill()
    hospital.start(60)


def told(bus: Bus, event: str) -> dict[str, set[str]]:
    """Give accession -> the ids of the events of this kind: one that comes again keeps its id."""
    return gathered((one["subject"], one["id"]) for one in bus.of_type(event))


def reported(messages: list[str]) -> dict[str, set[str]]:
    """Give accession -> the control ids of its reports: one that comes again keeps its control id."""
    fields = ((message, {line[:3]: line.split("|") for line in message.split("\r")}) for message in list(messages))
    return gathered((segments["OBR"][18], segments["MSH"][9]) for _, segments in fields)


def gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        found[name].add(value)
    return found


def twice(found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Give those that have more than one."""
    return {name: values for name, values in found.items() if len(values) > 1}
