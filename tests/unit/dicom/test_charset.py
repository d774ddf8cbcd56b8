"""Character sets: every defined term there and back, code extension by the examples of PS3.5, the choice for answers."""

import pytest

from broker.dicom.charset import DEFAULT, LATIN_1, UTF_8, choose_charset, find_charset, get_charset
from broker.errors import BrokerError

TEXTS = [
    ("ISO_IR 100", "Gößmann^Jérôme"),
    ("ISO_IR 101", "Wałęsa^Łukasz"),
    ("ISO_IR 109", "Ħamrun^Ġorġ"),
    ("ISO_IR 110", "Bērziņš^Jānis"),
    ("ISO_IR 144", "Люксембург^Роза"),
    ("ISO_IR 127", "قباني^لنزار"),
    ("ISO_IR 126", "Διονυσιος"),
    ("ISO_IR 138", "שרון^דבורה"),
    ("ISO_IR 148", "Çavuşoğlu^Şule"),
    ("ISO_IR 166", "สมชาย"),
    ("ISO_IR 203", "Œuvrard^Zoë"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("GBK", "王^小东"),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 87\\ISO 2022 IR 159", "Lian^Xi=鐮^熙丂"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("\\ISO 2022 IR 58", "Zhang^XiaoDong=张^小东"),
    ("ISO 2022 IR 100\\ISO 2022 IR 144", "Jérôme^Роза^é"),
    ("ISO 2022 IR 101\\ISO 2022 IR 126\\ISO 2022 IR 203", "Łukasz^Διονυσιος^Œ"),
]


@pytest.mark.parametrize(("terms", "text"), TEXTS)
def test_text_comes_back_from_every_defined_term(terms: str, text: str) -> None:
    charset = get_charset(*terms.split("\\"))
    assert charset.decode(charset.encode(text, is_name=True), is_name=True) == text


@pytest.mark.parametrize(
    ("terms", "text", "raw"),
    [
        (  # PS3.5 H.3.1
            ("", "ISO 2022 IR 87"),
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        ),
        (  # PS3.5 H.3.2
            ("ISO 2022 IR 13", "ISO 2022 IR 87"),
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        ),
        (  # PS3.5 I.2
            ("", "ISO 2022 IR 149"),
            "Hong^Gildong=洪^吉洞=홍^길동",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        ),
        (  # PS3.5 K.2
            ("", "ISO 2022 IR 58"),
            "Zhang^XiaoDong=张^小东=",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        ),
        (("GB18030",), "Wang^XiaoDong=王^小东=", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),  # PS3.5 J.2
    ],
)
def test_the_examples_of_the_standard_are_read_and_written(terms: tuple[str, ...], text: str, raw: bytes) -> None:
    charset = get_charset(*terms)
    assert (charset.decode(raw, is_name=True), charset.encode(text, is_name=True)) == (text, raw)


def test_a_sender_that_leaves_out_the_second_escape_is_understood() -> None:
    assert get_charset("", "ISO 2022 IR 149").decode(b"\x1b$)C\xfb\xf3^\xd1\xce\xd4\xd7", is_name=True) == "洪^吉洞"


@pytest.mark.parametrize(
    ("written", "terms"),
    [
        ("iso-ir 100", ("ISO_IR 100",)),
        ("ISO IR 192", ("ISO_IR 192",)),
        ("UTF-8", ("ISO_IR 192",)),
        ("ISO 2022 IR 100", ("ISO_IR 100",)),
        ("ISO 2022 IR 87", ("", "ISO 2022 IR 87")),
        ("ISO_IR 6", ()),
        ("", ()),
    ],
)
def test_misspelt_terms_are_written_as_defined(written: str, terms: tuple[str, ...]) -> None:
    assert get_charset(written).terms == terms


def test_an_unknown_term_is_refused_with_a_hint() -> None:
    with pytest.raises(BrokerError, match="Klingon"):
        get_charset("Klingon")


def test_an_unknown_term_of_a_peer_means_the_default_set() -> None:
    assert find_charset(["Klingon"]) is DEFAULT


@pytest.mark.parametrize(("raw", "text"), [("Müller".encode(), "Müller"), (b"M\xfcller", "Müller"), (b"\x80", "€")])
def test_text_without_a_declared_set_is_utf_8_or_windows_1252(raw: bytes, text: str) -> None:
    assert DEFAULT.decode(raw) == text


@pytest.mark.parametrize(
    ("terms", "text", "raw"),
    [
        (("ISO_IR 6",), "Éva Weiß-Łoś", b"Eva Weiss-Los"),
        (("ISO_IR 100",), "Éva Łoś 王", "Éva Los ?".encode("latin-1")),
        (("ISO_IR 13",), "ﾔ¥é", b"\xd4?e"),
    ],
)
def test_what_a_forced_set_has_not_is_transliterated(terms: tuple[str, ...], text: str, raw: bytes) -> None:
    assert get_charset(*terms).encode_plain(text) == raw


GREEK = get_charset("ISO_IR 126")


@pytest.mark.parametrize(
    ("text", "node", "asked", "chosen"),
    [
        ("Doe", None, UTF_8, DEFAULT),
        ("Doe", LATIN_1, UTF_8, LATIN_1),
        ("Διο", LATIN_1, UTF_8, LATIN_1),
        ("Διο", None, GREEK, GREEK),
        ("Jérôme", None, UTF_8, UTF_8),
        ("Jérôme", None, GREEK, LATIN_1),
        ("Jérôme", None, DEFAULT, LATIN_1),
        ("Łukasz", None, DEFAULT, UTF_8),
    ],
)
def test_the_set_of_an_answer(text: str, node: object, asked: object, chosen: object) -> None:
    assert choose_charset(text, node, asked) is chosen  # type: ignore[arg-type]
