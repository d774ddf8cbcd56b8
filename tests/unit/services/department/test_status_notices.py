"""What a RIS is told of an examination by the shipped status mappings, made of the facts that the events carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.services.render import Receiver, Renderer

MAPPINGS = Path(__file__).parents[4] / "mappings"
RECEIVER = Receiver(
    sending_application="B", sending_facility="", receiving_application="RIS", receiving_facility="", processing_id="P"
)


@pytest.fixture(scope="module")
def catalogue():
    found, _ = Catalogue.load(read_mapping_files(MAPPINGS))
    return found


@pytest.mark.parametrize(
    ("name", "accession", "step"),
    [
        ("ihe/status-to-orm", "OBR-18", "OBR-20"),
        ("ihe/status-to-omg", "OBR-18", "OBR-20"),
        ("ihe/status-to-omi", "IPC-1", "IPC-4"),
    ],
)
def test_an_examination_is_told_as_begun_and_as_done(run, refer, catalogue, name, accession, step):
    async def story(d):
        await d.book("A1")
        await d.create("1.7", refer("A1", study=d.uid("RPA1")))
        await d.end("1.7", "1.1")
        (row, *_) = await d.notices("bus")
        return [(replace(row, event_type=event.type), event) for event in d.told()]

    render = Renderer(lambda: catalogue, name, RECEIVER)
    messages = [Message.parse(render(row, event).decode()) for row, event in run(story)]

    assert [(m.value("ORC-5"), m.value("OBR-25")) for m in messages] == [("IP", "I"), ("CM", "R")]
    assert {(m.value(accession), m.value(step)) for m in messages} == {("A1", "SPA1")}
