"""Bad DICOM at one running broker: each is aborted or refused with its reason, and what comes next is taken."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_FIND, C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu import P_DATA_TF

from peers.hospital import Hospital
from peers.images import CT_IMAGE, ct_images
from peers.programs import find_program
from peers.waiting import eventually
from peers.withstanding import withstanding, works

WORKLIST = "1.2.840.10008.5.1.4.31"
TLS_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
ABORT = b"\x07\0\0\0\0\x04\0\0\0\0"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, new_database: Any) -> Iterator[Hospital]:
    """A broker that everything in this file comes to; it knows CT1 alone."""
    folder = tmp_path_factory.mktemp("hostile")
    with new_database(folder) as url:
        hospital = Hospital.planned(folder, url)
        hospital.configuration["dicom"] |= {
            "callers": "known",
            "nodes": {"CT1": {"role": "modality"}},
            "artim_timeout": "2s",
        }
        try:
            with withstanding(hospital):
                yield hospital
        finally:
            hospital.stop()


@pytest.fixture
def hospital(running: Hospital) -> Iterator[Hospital]:
    """The running broker; what follows must work."""
    yield running
    works(running, "NEXT")


def associate(hospital: Hospital, abstract_syntax: str) -> Any:
    entity = AE(ae_title="CT1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 60
    entity.add_requested_context(abstract_syntax, ExplicitVRLittleEndian)
    return entity.associate("127.0.0.1", hospital.dicom_port, ae_title="BROKER")


def ask(association: Any, request: Any, abstract_syntax: str) -> tuple[int, str]:
    """Send *request*, whatever bytes its data set is; give status and error comment."""
    request.MessageID, request.Priority, request.AffectedSOPClassUID = 1, 2, abstract_syntax
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    return answer.Status, str(getattr(answer, "ErrorComment", None) or "")


def store(association: Any, uid: str, data_set: bytes) -> tuple[int, str]:
    request = C_STORE()
    request.AffectedSOPInstanceUID, request.DataSet = uid, BytesIO(data_set)
    return ask(association, request, CT_IMAGE)


def spooled(hospital: Hospital) -> int:
    """Count the files in the spool."""
    return sum(path.is_file() for path in (hospital.folder / "var/spool").rglob("*.*"))


NOISE = {
    "random bytes": (b"\xaa" + os.urandom(500), "there is no PDU of type AAH"),
    "P-DATA before an association": (b"\x04\0\0\0\0\x0a\0\0\0\x06\x01\x03abcd", "P-DATA-TF in the state"),
    "a request of 4 GB": (b"\x01\0\xff\xff\xff\xff", "4,294,967,295 bytes"),
    "data of 4 GB": (b"\x04\0\xff\xff\xff\xff", "4,294,967,295 bytes"),
    "a broken request": (b"\x01\0\0\0\0\x04abcd", ""),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "there is no PDU of type 47H"),
    "a TLS hello": (TLS_HELLO + os.urandom(500), "the peer speaks TLS, this port does not"),
}


@pytest.mark.parametrize("name", NOISE)
def test_what_is_no_dicom_is_aborted_with_its_reason(hospital: Hospital, name: str) -> None:
    content, words = NOISE[name]
    with socket.create_connection(("127.0.0.1", hospital.dicom_port), timeout=15) as peer:
        peer.sendall(content)
        answer = peer.recv(4096)

    assert answer == ABORT
    assert eventually(lambda: words in hospital.read_log())


def test_data_of_4_gb_inside_an_association_is_aborted(hospital: Hospital) -> None:
    association = associate(hospital, WORKLIST)

    association.dul.socket.socket.sendall(b"\x04\0\xff\xff\xff\xff" + bytes(1000))

    assert eventually(lambda: association.is_aborted)


def test_300_half_open_connections_keep_nobody_out(hospital: Hospital) -> None:
    opened = [socket.create_connection(("127.0.0.1", hospital.dicom_port), timeout=15) for _ in range(300)]
    for peer in opened[:150]:
        peer.sendall(b"\x01\0\0\0\x10\0half")

    works(hospital, "HALF")

    for peer in opened:
        assert peer.recv(4096) == b""
        peer.close()


@pytest.mark.parametrize(
    ("calling", "called", "words"),
    [("CT1", "WRONG", "Called AE Title Not Recognized"), ("STRANGER", "BROKER", "Calling AE Title Not Recognized")],
)
def test_an_ae_title_that_is_not_known_is_rejected_by_name(
    hospital: Hospital, calling: str, called: str, words: str
) -> None:
    command = [find_program("echoscu"), "-aet", calling, "-aec", called, "127.0.0.1", str(hospital.dicom_port)]

    told = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert words in told.stdout + told.stderr
    assert calling in hospital.read_log()


@pytest.mark.parametrize(
    ("identifier", "words"),
    [
        (bytes(range(1, 200)), "broken at byte"),
        (b"\x10\0\x20\0LO\xff\0abc", "PatientID says 255 bytes"),
    ],
)
def test_an_identifier_that_cannot_be_decoded_is_refused_in_words(
    hospital: Hospital, identifier: bytes, words: str
) -> None:
    association = associate(hospital, WORKLIST)
    request = C_FIND()
    request.Identifier = BytesIO(identifier)

    status, comment = ask(association, request, WORKLIST)

    assert (status, words in comment) == (0xA900, True)
    assert association.is_established
    association.release()


@pytest.mark.parametrize("missing", [2, 100, 600])
def test_an_object_that_ends_in_the_middle_is_refused_and_leaves_nothing(hospital: Hospital, missing: int) -> None:
    (image,) = ct_images({}, 1)
    whole = encode(image, False, True)
    association, before = associate(hospital, CT_IMAGE), spooled(hospital)

    refused = store(association, image.SOPInstanceUID, whole[:-missing])
    assert refused == (0xC000, "the data set ends in the middle of an element")
    assert spooled(hospital) == before

    assert store(association, image.SOPInstanceUID, whole) == (0x0000, "")
    association.release()
    assert spooled(hospital) == before + 1


def test_an_association_that_dies_inside_an_object_leaves_nothing(hospital: Hospital) -> None:
    association, before = associate(hospital, CT_IMAGE), spooled(hospital)
    (image,) = ct_images({}, 1)
    request, message = C_STORE(), C_STORE_RQ()
    request.MessageID, request.Priority, request.AffectedSOPClassUID = 1, 2, CT_IMAGE
    request.AffectedSOPInstanceUID, request.DataSet = image.SOPInstanceUID, BytesIO(encode(image, False, True))
    message.primitive_to_message(request)
    *pieces, _last = message.encode_msg(1, 256)

    wire = association.dul.socket.socket
    for piece in pieces:
        pdu = P_DATA_TF()
        pdu.from_primitive(piece)
        wire.sendall(pdu.encode())
    association.abort()

    works(hospital, "DIED")
    assert eventually(lambda: spooled(hospital) == before)


def test_the_same_sop_instance_uid_with_other_bytes_is_kept_beside_the_first_and_flagged(
    hospital: Hospital, story: Any
) -> None:
    hospital.send(story.orm("SAME"))
    (image,) = ct_images(hospital.findscu("0008,0050=SAME")[0], 1)
    association, before = associate(hospital, CT_IMAGE), spooled(hospital)
    first = encode(image, False, True)
    image.InstanceNumber = 77

    answers = [store(association, image.SOPInstanceUID, one) for one in (first, encode(image, False, True), first)]
    association.release()

    assert answers == [(0x0000, "")] * 3
    assert spooled(hospital) == before + 2
    flagged = [entry for entry in hospital.order("SAME")["timeline"] if entry["alarm"]]
    assert [entry["text"] for entry in flagged] == ["an object came again with other content: both are kept"]


def test_a_spool_that_cannot_be_written_answers_a700h_and_the_association_lives_on(hospital: Hospital) -> None:
    incoming = hospital.folder / "var/spool/incoming"
    incoming.rename(incoming.with_name("away"))
    incoming.write_text("in the way")
    (image,) = ct_images({}, 1)
    association = associate(hospital, CT_IMAGE)

    refused = association.send_c_store(image).Status
    incoming.unlink()
    incoming.with_name("away").rename(incoming)
    stored = association.send_c_store(image).Status
    association.release()

    assert (refused, stored) == (0xA700, 0x0000)
