"""What an answer says."""

import pytest

from broker.mllp.client import read_answer

HEADER = b"MSH|^~\\&|R|N|B|R|||ACK|77|P|2.5\r"


@pytest.mark.parametrize(
    ("rest", "code", "text", "error_code"),
    [
        (b"MSA|AA|C1", "AA", "", ""),
        (b"MSA|CA|C1", "CA", "", ""),
        (b"MSA|AE|C1|no such order", "AE", "no such order", ""),
        (b"MSA|AE|C1\rERR||PID^1^3|204^Unknown key^HL70357|E|||what|user", "AE", "user", "204"),
        (b"MSA|AR|C1\rERR|PID^1^3^207&Internal error", "AR", "Internal error", "207"),
        (b"MSA|AR|C1|busy\rERR|||207^Application internal error^HL70357|E", "AR", "busy", "207"),
    ],
)
def test_an_answer_is_read(rest: bytes, code: str, text: str, error_code: str) -> None:
    answer = read_answer(HEADER + rest, "C1")
    assert (answer.code, answer.text, answer.error_code, answer.control_id) == (code, text, error_code, "77")
    assert answer.is_accepted is (code in ("AA", "CA"))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (HEADER + b"MSA|AA|C2", "MSA-2 is 'C2', the message's control id is 'C1'"),
        (HEADER + b"MSA|AA|", "MSA-2 is ''"),
        (HEADER, "has no MSA segment"),
        (b"hello", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_is_no_answer_to_the_message_says_why(raw: bytes, why: str) -> None:
    answer = read_answer(raw, "C1")
    assert (answer.code, answer.is_accepted, answer.raw) == ("", False, raw)
    assert why in answer.text
