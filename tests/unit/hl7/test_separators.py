"""Escapes, both ways."""

import pytest

from broker.hl7.separators import Separators, escape, unescape


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        (r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"),
        (r"one\.br\two\.BR\three", "one\ntwo\nthree"),
        (r"\X41\\X42\ \X4344\ ", "AB CD "),
        (r"M\XC3\\XBC\ller", "Müller"),
        (r"M\XC3BC\ller", "Müller"),
        (r"\X0D0A\x", "\r\nx"),
        (r"\XC3\-\XBC\ ", "\ufffd-\ufffd "),
        (r"\H\bold\N\ text", "bold text"),
        (r"C:\temp\file", r"C:\temp\file"),
        (r"\XZZ\ \X\ \X4\ ", r"\XZZ\ \X\ \X4\ "),
        ("\\", "\\"),
        (r"open\F", r"open\F"),
        (r"\\F\ ", r"\| "),
        (r"\Zdef\ \C2842\ ", r"\Zdef\ \C2842\ "),
    ],
)
def test_escapes_are_read_and_unknown_ones_kept(raw: str, text: str) -> None:
    assert unescape(raw) == text


def test_hexadecimal_escapes_are_bytes_of_the_codec() -> None:
    assert unescape(r"M\XFC\ller \X80\ ", codec="cp1252") == "Müller € "


def test_a_million_escape_characters_are_read_in_one_pass() -> None:
    assert len(unescape("\\" * 1_000_000)) == 1_000_000


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("a|b^c&d~e\\f", r"a\F\b\S\c\T\d\R\e\E\f"),
        ("one\r\ntwo\rthree\nfour", r"one\.br\two\.br\three\.br\four"),
        ("\x0b\x1c\x00\t", "\\X0B\\\\X1C\\\\X00\\\t"),
        ('""', '""'),
    ],
)
def test_text_is_escaped(text: str, raw: str) -> None:
    assert escape(text) == raw


def test_without_an_escape_character_delimiters_become_spaces() -> None:
    bare = Separators(escape="", subcomponent="")
    assert escape("a|b^c\nd&e\\f", bare) == "a b c d&e\\f"
    assert unescape(r"a\F\b", bare) == r"a\F\b"
