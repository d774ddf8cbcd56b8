"""An association does not care how its bytes are cut, and survives any bytes."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from broker.ul.association import Association
from broker.ul.codec import encode_fragment, encode_pdu
from broker.ul.dimse import Command, Kind, encode_command
from broker.ul.events import Aborted, AssociationRequested, Event
from broker.ul.items import UserInformation
from broker.ul.negotiation import answer
from broker.ul.pdu import AssociateRequest, ProposedContext, ReleaseRequest

WORKLIST = "1.2.840.10008.5.1.4.31"
IMPLICIT = "1.2.840.10008.1.2"
USER = UserInformation(max_length=16384, implementation_uid="1.2.3")
REQUEST = encode_pdu(
    AssociateRequest(
        called_ae="BROKER",
        calling_ae="CT1",
        contexts=(ProposedContext(id=1, abstract_syntax=WORKLIST, transfer_syntaxes=(IMPLICIT,)),),
        user=USER,
    )
)
FIND = encode_command(Command(kind=Kind.C_FIND_RQ, message_id=1, affected_class=WORKLIST, has_data_set=True))
CONVERSATION = (
    REQUEST
    + encode_fragment(1, True, False, FIND[:20])
    + encode_fragment(1, True, True, FIND[20:])
    + encode_fragment(1, False, False, b"first")
    + encode_fragment(1, False, True, b"last")
    + encode_fragment(1, True, True, encode_command(Command(kind=Kind.C_CANCEL_RQ, responded_id=1)))
    + encode_pdu(ReleaseRequest())
)


def converse(chunks: list[bytes]) -> list[Event]:
    """Play the acceptor, and accept whatever is asked."""
    association, events = Association(is_requestor=False), []
    for chunk in chunks:
        association.receive(chunk)
        while (event := association.next_event()) is not None:
            events.append(event)
            if isinstance(event, AssociationRequested):
                association.accept(answer(event.request, lambda context: IMPLICIT, USER))
    return events


def cut(content: bytes, places: list[int]) -> list[bytes]:
    bounds = [0, *sorted(places), len(content)]
    return [content[start:end] for start, end in pairwise(bounds)]


@given(st.lists(st.integers(0, len(CONVERSATION)), max_size=12))
def test_any_cut_gives_the_same_events(places: list[int]) -> None:
    whole = converse([CONVERSATION])
    assert len(whole) == 6
    assert converse(cut(CONVERSATION, places)) == whole


@given(st.binary(max_size=400), st.booleans())
def test_arbitrary_bytes_end_in_silence_or_one_abort(noise: bytes, is_late: bool) -> None:
    events = converse([CONVERSATION[: len(REQUEST)] if is_late else b"", noise])
    assert sum(isinstance(event, Aborted) for event in events) <= 1


@given(st.lists(st.tuples(st.integers(0, len(CONVERSATION) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_conversation_never_raises(damages: list[tuple[int, int]]) -> None:
    damaged = bytearray(CONVERSATION)
    for place, byte in damages:
        damaged[place] = byte
    events = converse(cut(bytes(damaged), [len(damaged) // 2]))
    assert sum(isinstance(event, Aborted) for event in events) <= 1
