"""Answers that never arrive: who asked says it again, and nothing happens twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from peers.his import orm
from peers.hospital import all_orders
from peers.images import ct_images, mpps_create, mpps_set
from peers.proxy import DICOM_ANSWER, MLLP_ANSWER, Proxy
from peers.receivers import Archive, Bus, Ris
from peers.traffic import Link, NotAnswered
from peers.waiting import eventually, new_uid


@pytest.fixture
def surrounded(hospital: Any, tmp_path: Path) -> Any:
    """A hospital with an archive, a RIS and an MQTT broker, started; everybody speaks through a proxy."""
    archive, ris, bus = Archive(), Ris(), Bus(tmp_path)
    to_archive, to_ris = Proxy(archive.port, DICOM_ANSWER), Proxy(ris.port, MLLP_ANSWER)
    from_his, from_scanner = Proxy(hospital.hl7_port, MLLP_ANSWER), Proxy(hospital.dicom_port, DICOM_ANSWER)
    peers = (archive, ris, bus, to_archive, to_ris, from_his, from_scanner)
    hospital.stoppers += [peer.stop for peer in peers]
    hospital.configuration["dicom"]["nodes"] = {
        "PACS": {"host": "127.0.0.1", "port": to_archive.port, "role": "archive"}
    }
    hospital.configuration["studies"] = {"forward_to": ["PACS"]}
    hospital.configuration["destinations"] = {
        "ris": {"type": "hl7", "host": "127.0.0.1", "port": to_ris.port, "mapping": "ihe/study-to-oru"},
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{bus.port}", "events": ["*"]},
    }
    hospital.archive, hospital.ris, hospital.bus = archive, ris, bus
    hospital.to_archive, hospital.to_ris = to_archive, to_ris
    hospital.from_his, hospital.from_scanner = from_his, from_scanner
    hospital.start()
    return hospital


def test_each_answer_lost_once_and_its_request_repeated_has_no_second_effect(surrounded: Any) -> None:
    hospital = surrounded
    link = Link(hospital.from_his.port, hospital.from_scanner.port, "CT1")
    message = orm("A1")

    assert said_twice(hospital.from_his, lambda: link.send(message)) == "AA"
    (entry,) = link.find("A1")
    uid, images = new_uid(), ct_images(entry, 2)
    created, ended = mpps_create(entry, uid, "CT1"), mpps_set(images)
    assert said_twice(hospital.from_scanner, lambda: link.n_create(created, uid)) == 0
    hospital.to_archive.lose_next()
    for image in images:
        assert said_twice(hospital.from_scanner, lambda sent=image: link.c_store(sent)) == 0
    eventually(lambda: len(hospital.archive.objects) == 2)
    hospital.to_ris.lose_next()
    assert said_twice(hospital.from_scanner, lambda: link.n_set(ended, uid)) == 0

    order = eventually(lambda: is_all_delivered(hospital.order("A1")))
    assert order["status"] == "completed"
    assert all_orders(hospital) == {"A1"}
    assert [one["instances"] for one in order["studies"]] == [2]
    assert [one["status"] for one in order["performed_steps"]] == ["COMPLETED"]
    told = [line["event"] for line in order["timeline"]]
    for event in ("order.scheduled", "procedure.started", "procedure.completed", "study.started", "study.available"):
        assert told.count(event) == 1
        assert len(eventually(lambda event=event: hospital.bus.of_type(event))) == 1
    assert (hospital.to_archive.lost, hospital.to_ris.lost) == (1, 1)
    assert len(hospital.archive.received) == 3
    assert len({tuple(one) for one in hospital.archive.received}) == 2
    assert [message.split("|")[9] for message in hospital.ris.messages] == [hospital.ris.messages[0].split("|")[9]] * 2


def said_twice(proxy: Proxy, ask: Callable[[], Any]) -> Any:
    """Ask, lose the answer, ask again."""
    before = proxy.lost
    proxy.lose_next()
    with pytest.raises((NotAnswered, OSError)):
        ask()
    assert proxy.lost == before + 1
    return ask()


def is_all_delivered(order: dict[str, Any]) -> dict[str, Any] | None:
    """Give the order when everybody who is to hear of its study has."""
    deliveries = order["deliveries"]
    is_done = len(order["studies"]) == 1 and order["studies"][0]["status"] == "available"
    return order if is_done and all(one["state"] == "delivered" for one in deliveries) else None


def test_a_notice_that_was_not_answered_before_a_kill_comes_again_as_itself(surrounded: Any) -> None:
    hospital = surrounded
    hospital.ris.answer = None
    link = Link(hospital.hl7_port, hospital.dicom_port, "CT1")
    assert link.send(orm("A1")) == "AA"
    (entry,) = link.find("A1")
    uid, images = new_uid(), ct_images(entry, 1)
    assert link.n_create(mpps_create(entry, uid, "CT1"), uid) == 0
    assert link.c_store(images[0]) == 0
    assert link.n_set(mpps_set(images), uid) == 0
    eventually(lambda: hospital.ris.messages)
    hospital.kill()

    hospital.ris.answer = "AA"
    hospital.start()

    eventually(lambda: is_all_delivered(hospital.order("A1")))
    first, second = (message.split("|")[9] for message in hospital.ris.messages)
    assert first == second
