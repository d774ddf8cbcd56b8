"""PostgreSQL: the server that goes away and comes back, and two brokers that share one database."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.hospital import Hospital
from peers.postgresql import Postgresql
from peers.receivers import Archive, Bus, Ris
from peers.traffic import Link, Traffic
from peers.waiting import eventually

CANNOT_NOW = ("AR", 0xA700, 0x0110)
"""HL7's, C-STORE's and MPPS's words for: not now."""


class Surroundings:
    """An archive, a RIS and an MQTT broker, for as many brokers as there are."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.ris, self.bus = Archive(), Ris(), Bus(folder)

    def planned(self, folder: Path, database: str) -> Hospital:
        """Plan a broker on *database* that knows them."""
        folder.mkdir(exist_ok=True)
        hospital = Hospital.planned(folder, database)
        pacs = {"host": "127.0.0.1", "port": self.archive.port, "role": "archive"}
        hospital.configuration["dicom"]["nodes"] = {"PACS": pacs}
        hospital.configuration["studies"] = {"forward_to": ["PACS"]}
        hospital.configuration["destinations"] = {
            "ris": {"type": "hl7", "host": "127.0.0.1", "port": self.ris.port, "mapping": "ihe/study-to-oru"},
            "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{self.bus.port}", "events": ["*"]},
        }
        return hospital

    def told(self, event: str) -> Counter[str]:
        """Count the events of this kind by accession number."""
        return Counter(one["subject"] for one in self.bus.of_type(event))

    def reported(self) -> Counter[str]:
        """Count the reports by accession number."""
        reports = [{line[:3]: line.split("|") for line in message.split("\r")} for message in list(self.ris.messages)]
        return Counter(segments["OBR"][18] for segments in reports)

    def stop(self) -> None:
        for peer in (self.archive, self.ris, self.bus):
            peer.stop()


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def server() -> Iterator[Postgresql]:
    """A PostgreSQL server that a story may stop."""
    made = Postgresql()
    yield made
    made.remove()


def test_the_database_server_goes_away_and_comes_back_in_the_middle_of_traffic(
    around: Surroundings, server: Postgresql, story: Any, tmp_path: Path
) -> None:
    with server.database() as url:
        hospital = around.planned(tmp_path / "broker", url)
        try:
            hospital.start(60)
            go_away_and_come_back(server, hospital, around, story)
        finally:
            hospital.stop()


def go_away_and_come_back(server: Postgresql, hospital: Hospital, around: Surroundings, story: Any) -> None:
    traffic = Traffic(hospital.hl7_port, hospital.dicom_port, seed=1, later=CANNOT_NOW)
    traffic.start()
    eventually(lambda: len(traffic.orders) > 20 and len(traffic.images) > 3, 60)

    server.stop()
    eventually(lambda: hospital.get_status("/readyz") == 503)
    away = story.msa(hospital.send(story.orm("AWAY")))
    image = story.ct_images({"0010,0020": "E1", "0010,0010": "E^ONE"}, 1)[0]
    refused = Link(hospital.hl7_port, hospital.dicom_port, "CT99").c_store(image)
    alive = hospital.get_status("/healthz")
    server.start()

    eventually(lambda: hospital.get_status("/readyz") == 200)
    orders, images = len(traffic.orders), len(traffic.images)
    eventually(lambda: len(traffic.orders) > orders + 20 and len(traffic.images) > images + 3, 60)
    traffic.stop()
    assert (away[1], refused, alive, hospital.process.poll()) == ("AR", 0xA700, 200, None)
    assert (traffic.refused, traffic.faults) == ([], [])
    assert traffic.repeats > 0
    assert story.all_orders(hospital) == set(traffic.orders)
    eventually(lambda: around.archive.objects == traffic.images, 60)
    once = Counter(traffic.orders)
    eventually(lambda: around.told("order.scheduled") == once, 60)
    eventually(lambda: around.reported() == around.told("study.available") == Counter(traffic.examined), 60)
    hospital.restart()
    eventually(lambda: not list((hospital.folder / "var" / "spool").rglob("*.dcm")))
    assert around.told("order.scheduled") == once
    assert around.archive.objects == traffic.images


@pytest.fixture
def brokers(around: Surroundings, postgresql: Postgresql, tmp_path: Path) -> Iterator[list[Hospital]]:
    """Two brokers on one database, started."""
    with postgresql.database() as url:
        made = [around.planned(tmp_path / name, url) for name in ("one", "two")]
        for broker in made:
            broker.start(60)
        yield made
        for broker in made:
            broker.stop()


def test_two_brokers_on_one_database_are_one_to_the_world(
    brokers: list[Hospital], around: Surroundings, story: Any, tmp_path: Path
) -> None:
    accessions = [f"N{number}" for number in range(24)]
    answers: list[str] = []

    def book(own: list[str], first: Hospital, second: Hospital) -> None:
        """Book with one broker, move with the other; and say the same to both at once."""
        for accession in own:
            answers.append(story.msa(first.send(story.orm(accession)))[1])
            answers.append(story.msa(second.send(story.orm(accession, "XO", start="20260401113000")))[1])

    one, two = brokers
    threads = [
        threading.Thread(target=book, args=(accessions[0::2], one, two)),
        threading.Thread(target=book, args=(accessions[1::2], two, one)),
    ]
    same = story.orm("SAME")
    threads += [threading.Thread(target=lambda to=to: answers.append(story.msa(to.send(same))[1])) for to in brokers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert answers == ["AA"] * 50
    lists = [sorted(broker.findscu(), key=lambda step: step["0008,0050"]) for broker in brokers]
    assert lists[0] == lists[1]
    assert Counter(step["0008,0050"] for step in lists[0]) == Counter([*accessions, "SAME"])
    assert {step["0040,0003"] for step in lists[0] if step["0008,0050"] != "SAME"} == {"113000"}
    eventually(lambda: around.told("order.updated") == Counter(accessions), 60)
    assert around.told("order.scheduled") == Counter([*accessions, "SAME"])

    (entry,) = one.findscu("0008,0050=N0")
    mpps, images = story.new_uid(), story.ct_images(entry, 3)
    assert one.scanner().start_step(entry, mpps) == 0
    two.scanner().store(tmp_path / "images", images)
    assert one.scanner().end_step(mpps, images) == 0

    eventually(lambda: around.reported() == Counter(["N0"]), 60)
    assert len(around.archive.objects) == 3
    assert [broker.order("N0")["status"] for broker in brokers] == ["completed"] * 2
    story.stays(lambda: around.reported() == Counter(["N0"]), 3)


def test_what_a_killed_broker_had_in_hand_is_carried_by_the_other(
    brokers: list[Hospital], around: Surroundings, story: Any, tmp_path: Path
) -> None:
    carrier, other = sorted(brokers, key=lambda broker: "destination.taken" not in broker.read_log())
    around.ris.answer = None
    other.send(story.orm("A1"))
    (entry,) = other.findscu("0008,0050=A1")
    mpps, images = story.new_uid(), story.ct_images(entry, 1)
    assert other.scanner().start_step(entry, mpps) == 0
    other.scanner().store(tmp_path / "images", images)
    assert other.scanner().end_step(mpps, images) == 0
    eventually(lambda: around.reported() == Counter(["A1"]), 60)

    carrier.kill()
    around.ris.answer = "AA"
    other.send(story.orm("A2"))

    eventually(lambda: around.reported() == Counter({"A1": 2}), 60)
    assert len({message.split("|")[9] for message in around.ris.messages}) == 1, "the same notice, by its control id"
    eventually(lambda: around.told("order.scheduled") == Counter(["A1", "A2"]), 60)
    carrier.start(60)
    carrier.send(story.orm("A3"))
    eventually(lambda: around.told("order.scheduled") == Counter(["A1", "A2", "A3"]), 60)
