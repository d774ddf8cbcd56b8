"""Texts of errors without what they quote."""

from __future__ import annotations

import pytest

from broker.errors import without_values


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("PatientID is missing", "PatientID is missing"),
        ("'DOE^JOHN' is too long", "'***' is too long"),
        ("'a' and 'b' differ", "'***' and '***' differ"),
        ("the sender's value 'DOE' isn't known", "the sender's value '***' isn't known"),
        ('found "O\'Neil" in PID-5', "found '***' in PID-5"),
        ("'O'NEIL^SEAN' is not 'D' ANGELO^MARIA', says PID-5", "'***' is not '***', says PID-5"),
        ("'a\nb' (twice)", "'***' (twice)"),
        ("“Müller” or ‘Maier’", "'***' or '***'"),
        ("PID-5 'DOE^JO", "PID-5 '***'"),
    ],
)
def test_what_a_text_quotes_is_left_out(text: str, shown: str) -> None:
    assert without_values(text) == shown
