"""Whatever bytes a frame holds, they are read or refused, and answered."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError
from broker.hl7.ack import SALVAGED, AckError, acknowledge, refuse_unreadable
from broker.hl7.charset import CODECS, decode, encode
from broker.hl7.message import Message

AT = datetime(2026, 4, 2, tzinfo=UTC)
NAMES = st.sampled_from([*CODECS, "", "ISO IR14~ISO IR87", "~ISO IR87", "CNS 11643-1992", "KLINGON"])
HEADERS = st.builds(
    lambda name, rest: b"MSH|^~\\&|A|B|C|D|||ORM^O01|7|P|2.5||||||" + name.encode() + b"\rPID|||" + rest,
    NAMES,
    st.binary(max_size=80),
)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(b"MSH|^~\\&|".__add__) | HEADERS)
def test_any_payload_is_answered(raw: bytes) -> None:
    error = AckError(text="why", hint="what to do")
    try:
        decoded = decode(raw)
        message = Message.parse(decoded.text, decoded.codec)
    except BrokerError as fault:
        told = refuse_unreadable(raw, AckError.of(fault), control_id="X1", at=AT)
        payload, codec = encode(told, SALVAGED).raw, SALVAGED
    else:
        payload = encode(acknowledge(message, "AE", control_id="X1", at=AT, errors=[error]), message.codec).raw
        codec = decoded.codec
    assert b"\x0b" not in payload
    assert b"\x1c" not in payload
    answer = Message.parse(payload.decode(codec, "replace"), codec)
    assert answer.value("MSA-1") in ("AE", "AR")
    assert answer.control_id == "X1"
    assert [segment.name for segment in answer.segments] == ["MSH", "MSA", "ERR"]
