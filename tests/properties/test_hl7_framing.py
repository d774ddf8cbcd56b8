"""Chunks never matter."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from broker.hl7.framing import Frame, Framer, Received, TooLarge, frame

PAYLOADS = st.binary(max_size=60).map(lambda raw: b"MSH" + raw.replace(b"\x1c", b"").replace(b"\x0b", b""))
STREAMS = st.text("\x0b\x1c\rMSHx", max_size=120).map(str.encode)


def _frames(stream: bytes, cuts: list[int], max_message: int) -> list[Received]:
    framer = Framer(max_message)
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[a:b] for a, b in pairwise(places)]
    events = [event for chunk in chunks for event in framer.feed(chunk)]
    return [event if isinstance(event, Frame) else TooLarge(head=b"") for event in events if not _is_noise(event)]


def _is_noise(event: Received) -> bool:
    return not isinstance(event, Frame | TooLarge)


@given(st.lists(PAYLOADS, max_size=5), st.lists(st.integers(0, 400), max_size=20))
def test_every_frame_comes_out_whole_in_any_portions(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(payload) for payload in payloads)
    assert _frames(stream, cuts, 100) == [Frame(payload=payload) for payload in payloads]


@given(STREAMS, st.lists(st.integers(0, 120), max_size=20), st.integers(1, 40))
def test_portions_make_no_difference_to_any_stream(stream: bytes, cuts: list[int], max_message: int) -> None:
    assert _frames(stream, cuts, max_message) == _frames(stream, [], max_message)
