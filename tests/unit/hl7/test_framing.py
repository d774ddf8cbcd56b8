"""Frames out of a stream."""

import pytest

from broker.hl7.framing import KEPT_BYTES, Frame, Framer, Noise, Received, TooLarge, frame

A, B = b"MSH|^~\\&|A\r", b"MSH|^~\\&|B\r"


def _fed(*chunks: bytes, max_message: int = 1000) -> list[Received]:
    framer = Framer(max_message)
    return [event for chunk in chunks for event in framer.feed(chunk)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (frame(A), [Frame(payload=A)]),
        (frame(A) + frame(B), [Frame(payload=A), Frame(payload=B)]),
        (b"\x0b" + A + b"\x1c" + frame(B), [Frame(payload=A), Frame(payload=B)]),
        (b"\r\n" + frame(A) + b"\r\n \x00", [Frame(payload=A)]),
        (frame(b""), [Frame(payload=b"")]),
        (b"\x0b" + frame(A), [Frame(payload=A)]),
        (frame(b"NTE|soft\x0bbreak"), [Frame(payload=b"NTE|soft\x0bbreak")]),
        (b"\x0bMSH|half" + frame(A), [Noise(size=8, sample=b"MSH|half"), Frame(payload=A)]),
        (A + frame(B), [Noise(size=10, sample=A.strip()), Frame(payload=B)]),
        (b"\x0bMSH|never ended", []),
    ],
)
def test_a_stream_is_cut_into_frames(stream: bytes, expected: list[Received]) -> None:
    assert _fed(stream) == expected


def test_a_frame_at_the_limit_is_taken_and_one_beyond_is_not() -> None:
    assert _fed(frame(b"x" * 50), max_message=50) == [Frame(payload=b"x" * 50)]
    assert _fed(frame(b"x" * 51), max_message=50) == [TooLarge(head=b"x" * 51)]


def test_a_frame_that_is_too_large_is_reported_once_with_its_head_and_not_kept() -> None:
    framer = Framer(100_000)
    events = framer.feed(b"\x0bMSH|head")
    for _ in range(400):
        events += framer.feed(b"x" * 100_000)
    assert len(events) == 1
    assert isinstance(events[0], TooLarge)
    assert events[0].head.startswith(b"MSH|head")
    assert len(events[0].head) == KEPT_BYTES
    assert framer.feed(b"x\x1c\r" + frame(A)) == [Frame(payload=A)]


def test_an_unfinished_frame_is_known() -> None:
    framer = Framer(100)
    assert not framer.is_inside
    framer.feed(b"\x0bMSH")
    assert framer.is_inside
    framer.feed(b"\x1c")
    assert not framer.is_inside
