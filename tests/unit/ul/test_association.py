"""One association: its events, what it sends, and how it ends."""

from __future__ import annotations

import pytest

from broker.ul.assembly import MAX_COMMAND
from broker.ul.association import Association
from broker.ul.codec import decode_pdu, encode_fragment, encode_pdu
from broker.ul.dimse import Command, Kind, Status, encode_command, reply
from broker.ul.events import (
    Aborted,
    AssociationAccepted,
    AssociationRejected,
    AssociationRequested,
    CommandReceived,
    DataReceived,
    Event,
    Released,
    ReleaseRequested,
)
from broker.ul.fault import ProtocolError
from broker.ul.items import UserInformation
from broker.ul.negotiation import answer
from broker.ul.pdu import (
    Abort,
    AssociateReject,
    AssociateRequest,
    DataTransfer,
    DataValue,
    ProposedContext,
    RejectReason,
    ReleaseReply,
    ReleaseRequest,
)

WORKLIST = "1.2.840.10008.5.1.4.31"
IMPLICIT = "1.2.840.10008.1.2"
USER = UserInformation(max_length=16384, implementation_uid="1.2.3")
FIND = Command(kind=Kind.C_FIND_RQ, message_id=1, affected_class=WORKLIST, priority=0, has_data_set=True)
CANCEL = Command(kind=Kind.C_CANCEL_RQ, responded_id=1)


def request(max_length: int = 16384) -> AssociateRequest:
    context = ProposedContext(id=1, abstract_syntax=WORKLIST, transfer_syntaxes=(IMPLICIT,))
    user = UserInformation(max_length=max_length, implementation_uid="1.2.3")
    return AssociateRequest(called_ae="BROKER", calling_ae="CT1", contexts=(context,), user=user)


def events_of(association: Association, chunk: bytes = b"") -> list[Event]:
    association.receive(chunk)
    return list(iter(association.next_event, None))


def acceptor(*, max_length: int = 16384, max_pdu: int = 16384) -> Association:
    association = Association(is_requestor=False, max_pdu=max_pdu)
    events_of(association, encode_pdu(request(max_length)))
    association.accept(answer(request(max_length), lambda context: IMPLICIT, USER))
    association.take_outgoing()
    return association


def pair() -> tuple[Association, Association]:
    """An established requestor and its acceptor."""
    one, other = Association(is_requestor=True), Association(is_requestor=False)
    one.request(request())
    events_of(other, one.take_outgoing())
    other.accept(answer(request(), lambda context: IMPLICIT, USER))
    events_of(one, other.take_outgoing())
    return one, other


def values(*parts: DataValue) -> bytes:
    return encode_pdu(DataTransfer(parts))


def test_a_request_is_handed_out_and_its_acceptance_reaches_the_requestor() -> None:
    one, other = Association(is_requestor=True), Association(is_requestor=False)
    one.request(request())
    assert events_of(other, one.take_outgoing()) == [AssociationRequested(request())]
    reply_pdu = answer(request(), lambda context: IMPLICIT, USER)
    other.accept(reply_pdu)
    assert events_of(one, other.take_outgoing()) == [AssociationAccepted(reply_pdu)]
    assert one.contexts == other.contexts
    assert one.is_established
    assert other.is_established


def test_a_rejection_reaches_the_requestor_and_ends_both() -> None:
    one, other = Association(is_requestor=True), Association(is_requestor=False)
    one.request(request())
    events_of(other, one.take_outgoing())
    other.reject(RejectReason.CALLING_AE_NOT_RECOGNIZED)
    assert events_of(one, other.take_outgoing()) == [AssociationRejected(AssociateReject(1, 1, 3))]
    assert one.is_over
    assert other.is_artim_running


def test_a_data_set_is_handed_out_piece_by_piece_before_it_is_whole() -> None:
    association = acceptor()
    events = events_of(association, encode_fragment(1, True, True, encode_command(FIND)))
    assert events == [CommandReceived(association.contexts[1], FIND)]
    assert events_of(association, encode_fragment(1, False, False, b"one")) == [DataReceived(b"one", False)]
    assert events_of(association, encode_fragment(1, False, True, b"two")) == [DataReceived(b"two", True)]


def test_command_and_data_set_may_share_a_pdu_and_a_command_may_be_cut() -> None:
    encoded = encode_command(FIND)
    pdu = values(
        DataValue(1, True, False, encoded[:9]), DataValue(1, True, True, encoded[9:]), DataValue(1, False, True, b"x")
    )
    association = acceptor()
    assert events_of(association, pdu) == [
        CommandReceived(association.contexts[1], FIND),
        DataReceived(b"x", True),
    ]


def test_a_message_is_cut_to_the_pdus_that_the_peer_takes_each_with_one_value() -> None:
    association = acceptor(max_length=1000)
    answer_command = reply(FIND, Status.PENDING, has_data_set=True)
    association.send_message(1, answer_command, bytes(2500))
    sent, pdus = association.take_outgoing(), []
    while sent:
        length = int.from_bytes(sent[2:6], "big")
        assert length <= 1000
        pdus.append(decode_pdu(sent[0], sent[6 : 6 + length]))
        sent = sent[6 + length :]
    parts = [pdu.values for pdu in pdus if isinstance(pdu, DataTransfer)]
    assert all(len(part) == 1 for part in parts)
    assert [(part[0].is_command, part[0].is_last) for part in parts] == [
        (True, True),
        (False, False),
        (False, False),
        (False, True),
    ]


def test_many_messages_leave_in_one_piece() -> None:
    association = acceptor()
    for _ in range(3):
        association.send_message(1, reply(FIND, Status.PENDING, has_data_set=True), b"item")
    assert association.outgoing_size == len(association.take_outgoing())
    assert association.outgoing_size == 0


def test_an_empty_data_set_is_sent_as_one_empty_value() -> None:
    association = acceptor()
    association.send_data(1, b"", is_last=True)
    assert association.take_outgoing() == encode_fragment(1, False, True, b"")


@pytest.mark.parametrize(
    ("pdu", "reason", "words"),
    [
        (encode_fragment(3, True, True, encode_command(FIND)), 6, "was not accepted"),
        (encode_fragment(1, False, True, b"data"), 5, "no command announced"),
        (values(DataValue(1, True, True, encode_command(FIND)), DataValue(1, True, True, b"")), 5, "before the last"),
        (values(DataValue(1, True, True, b"nonsense")), 6, "command set"),
        (encode_fragment(1, True, False, bytes(MAX_COMMAND + 1)), 6, "more than 65536 bytes"),
        (encode_pdu(request()), 2, "A-ASSOCIATE-RQ in the state ESTABLISHED"),
        (encode_pdu(ReleaseReply()), 2, "A-RELEASE-RP in the state ESTABLISHED"),
        (b"\x04\0\0\x02\0\1", 6, "131,073 bytes, more than 131,072"),
        (b"\x05\0\0\0\0\5", 6, "more than 4"),
        (b"\x09", 1, "no PDU of type 09H"),
        (b"\x16\x03\x01", 1, "the peer speaks TLS, this port does not"),
    ],
)
def test_a_fault_of_the_peer_is_an_abort_with_its_reason(pdu: bytes, reason: int, words: str) -> None:
    association = acceptor(max_pdu=131072)
    last = events_of(association, pdu)[-1]
    assert isinstance(last, Aborted)
    assert last.is_ours
    assert words in last.text
    assert association.take_outgoing() == encode_pdu(Abort(2, reason))
    assert association.is_artim_running


def test_events_before_a_fault_are_not_lost() -> None:
    association = acceptor()
    events = events_of(association, encode_fragment(1, True, True, encode_command(CANCEL)) + b"\xff")
    assert [type(event) for event in events] == [CommandReceived, Aborted]


def test_after_a_fault_nothing_is_kept_or_answered() -> None:
    association = acceptor()
    events_of(association, b"\xff")
    association.take_outgoing()
    assert events_of(association, bytes(100_000) + encode_pdu(ReleaseRequest())) == []
    assert association.take_outgoing() == b""
    assert not association._incoming


def test_an_association_request_of_more_than_a_megabyte_is_refused_by_its_header() -> None:
    association = Association(is_requestor=False)
    assert isinstance(events_of(association, b"\x01\0\0\x20\0\0")[0], Aborted)


def test_data_before_any_request_is_aborted_as_by_the_user() -> None:
    association = Association(is_requestor=False)
    assert isinstance(events_of(association, encode_fragment(1, True, True, b""))[0], Aborted)
    assert association.take_outgoing() == encode_pdu(Abort(0, 0))


def test_a_peer_whose_pdus_are_too_small_to_work_with_is_refused() -> None:
    association = Association(is_requestor=False)
    (event,) = events_of(association, encode_pdu(request(max_length=7)))
    assert isinstance(event, Aborted)
    assert "7 bytes at most" in event.text


def test_a_peer_without_limit_gets_pdus_of_our_own_size() -> None:
    assert acceptor(max_length=0).max_fragment == 131_072 - 6


def test_a_release_is_agreed_to() -> None:
    one, other = pair()
    one.release()
    assert events_of(other, one.take_outgoing()) == [ReleaseRequested()]
    other.confirm_release()
    assert events_of(one, other.take_outgoing()) == [Released()]
    assert one.is_over
    assert other.is_artim_running
    other.connection_lost()
    assert other.is_over


def test_answers_may_still_leave_between_the_wish_to_release_and_its_confirmation() -> None:
    one, other = pair()
    one.release()
    events_of(other, one.take_outgoing())
    other.send_message(1, reply(FIND, Status.SUCCESS))
    other.confirm_release()
    assert [type(event) for event in events_of(one, other.take_outgoing())] == [CommandReceived, Released]


def test_two_wishes_to_release_at_once_end_in_peace() -> None:
    one, other = pair()
    one.release()
    other.release()
    to_other, to_one = one.take_outgoing(), other.take_outgoing()
    assert events_of(other, to_other) == []
    assert events_of(one, to_one) == [ReleaseRequested()]
    one.confirm_release()
    assert events_of(other, one.take_outgoing()) == [ReleaseRequested()]
    other.confirm_release()
    assert events_of(one, other.take_outgoing()) == [Released()]


def test_an_abort_reaches_the_peer_in_words() -> None:
    one, other = pair()
    one.abort()
    assert events_of(other, one.take_outgoing()) == [Aborted("the peer's application aborted the association")]
    assert other.is_over
    assert one.is_artim_running


def test_an_abort_of_what_is_over_does_nothing() -> None:
    one, other = pair()
    one.abort()
    events_of(other, one.take_outgoing())
    other.abort()
    assert other.take_outgoing() == b""


def test_a_connection_that_vanishes_is_an_abort_without_words_of_the_peer() -> None:
    association = acceptor()
    association.connection_lost()
    assert events_of(association) == [Aborted("the connection was closed")]


def test_artim_ends_a_connection_on_which_nobody_asks() -> None:
    association = Association(is_requestor=False)
    assert association.is_artim_running
    association.artim_expired()
    assert association.is_over


def test_artim_does_not_end_an_association() -> None:
    association = acceptor()
    association.artim_expired()
    assert association.is_established


def test_sending_without_an_association_is_refused() -> None:
    association = Association(is_requestor=False)
    with pytest.raises(ProtocolError):
        association.send_message(1, FIND)
