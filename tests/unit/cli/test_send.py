"""Cutting a file into messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.cli.send import field, split

A, B = b"MSH|^~\\&|HIS||||||ORM^O01|M1|P|2.5\rPID|1\r", b"MSH|^~\\&|HIS||||||ORM^O01|M2|P|2.5\r"


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        (A, [A]),
        (A + B, [A, B]),
        (A.replace(b"\r", b"\n") + B.replace(b"\r", b"\r\n"), [A, B]),
        (b"\x0b" + A + b"\x1c\r\x0b" + B + b"\x1c\r", [A, B]),
        (b"\xef\xbb\xbf" + A, [A]),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + A + b"BTS|1\rFTS|1\r", [A]),
        (b"\n\n" + A + b"\n\n" + B, [A, B]),
        (A.rstrip(b"\r"), [A]),
        (A[:-1] + b"|about MSH|text\r", [A[:-1] + b"|about MSH|text\r"]),
        (b"not HL7\n", []),
        (b"", []),
    ],
)
def test_a_file_is_cut_into_its_messages(content: bytes, messages: list[bytes]) -> None:
    assert list(split(content)) == messages


def test_the_header_is_read_with_its_own_separator() -> None:
    message = b"MSH!^~\\&!HIS!!!!!!ORM^O01!M1!P\r"
    assert (field(message, 9), field(message, 10), field(message, 18)) == ("ORM^O01", "M1", "")


@given(st.binary(max_size=300))
def test_any_file_is_cut_into_messages_that_begin_with_msh(content: bytes) -> None:
    assert all(message.startswith(b"MSH") and message.endswith(b"\r") for message in split(content))
