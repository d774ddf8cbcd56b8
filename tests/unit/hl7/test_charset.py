"""Character sets: what MSH-18 says, what senders write, what cannot be read."""

import pytest

from broker.errors import BrokerError
from broker.hl7.charset import CODECS, REPLACEMENT, decode, encode, find_codec
from broker.hl7.message import Message


def _message(name: str, patient: bytes) -> bytes:
    return b"MSH|^~\\&|A||||||ORM^O01|1|P|2.5||||||" + name.encode() + b"\rPID|||7||" + patient + b"\rZZZ|x"


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("8859/1", b"M\xfcller", "Müller"),
        ("8859/1", b"\x80 \x93quoted\x94", "€ “quoted”"),
        ("ISO-8859-1", b"M\xfcller", "Müller"),
        ("iso 8859/1", b"M\xfcller", "Müller"),
        ("8859/2", b"\xa3\xf3d\xbc", "Łódź"),
        ("8859/3", b"\xac", "Ĵ"),
        ("8859/4", b"\xb3", "ŗ"),
        ("8859/5", b"\xb8\xd2\xd0\xdd", "Иван"),
        ("8859/6", b"\xe2", "ق"),
        ("8859/7", b"\xc4", "Δ"),
        ("8859/8", b"\xf9", "ש"),
        ("8859/9", b"\xdd", "İ"),
        ("8859/15", b"\xa4", "€"),
        ("UNICODE UTF-8", "Ибн 東".encode(), "Ибн 東"),
        ("UNICODE", "é".encode(), "é"),
        ("utf8", "é".encode(), "é"),
        ("UTF-8", "é".encode(), "é"),
        ("GB 18030-2000", "王小东".encode("gb18030"), "王小东"),
        ("BIG-5", "功許".encode("big5"), "功許"),
        ("KS X 1001", "김희중".encode("euc_kr"), "김희중"),
        ("KS X 1001", b"\x1b$)C" + "김".encode("euc_kr"), "김"),
        ("ISO IR87", "山田^太郎".encode("iso2022_jp"), "山田^太郎"),
        ("~ISO IR87", "山田".encode("iso2022_jp"), "山田"),
        ("ISO IR159", "丂".encode("iso2022_jp_ext"), "丂"),
        ("ISO IR14", b"\xd4\xcf\xc0\xde^", "ﾔﾏﾀﾞ^"),
        ("ISO IR14~ISO IR87", b"\xd4\xcf=" + "山".encode("iso2022_jp"), "ﾔﾏ=山"),
        ("ASCII", b"Doe", "Doe"),
    ],
)
def test_a_declared_set_is_read(name: str, raw: bytes, text: str) -> None:
    decoded = decode(_message(name, raw))
    assert Message.parse(decoded.text, decoded.codec).value("PID-5") == text
    assert (decoded.warnings, decoded.replaced) == ((), 0)


def test_trail_bytes_that_look_like_delimiters_are_not() -> None:
    decoded = decode(_message("BIG-5", "功|a".encode("big5")))
    assert Message.parse(decoded.text).value("PID-5") == "功"
    assert Message.parse(decoded.text).value("PID-6") == "a"


@pytest.mark.parametrize(
    ("name", "raw", "text", "codec", "warning"),
    [
        ("", "é".encode(), "é", "utf-8", "MSH-18 names no character set; read as utf-8"),
        ("", b"\xe9", "é", "cp1252", "MSH-18 names no character set; read as cp1252"),
        ("ASCII", b"\xe9", "é", "cp1252", "MSH-18 says ASCII, the text is not; read as cp1252"),
        ("KLINGON", b"\xe9", "é", "cp1252", "MSH-18 names the unknown character set KLINGON; read as cp1252"),
        ("KLINGON", b"e", "e", "utf-8", "MSH-18 names the unknown character set KLINGON"),
        ("8859/1", "é".encode(), "é", "utf-8", "MSH-18 says 8859/1, but the text is UTF-8 and was read so"),
    ],
)
def test_a_set_that_is_not_said_or_not_true_is_read_with_a_warning(
    name: str, raw: bytes, text: str, codec: str, warning: str
) -> None:
    decoded = decode(_message(name, raw), ["UTF-8", "windows-1252"])
    assert Message.parse(decoded.text).value("PID-5") == text
    assert (decoded.codec, decoded.warnings) == (codec, (warning,))


def test_plain_ascii_without_a_declared_set_gives_no_warning() -> None:
    assert decode(_message("", b"Doe")).warnings == ()


@pytest.mark.parametrize("name", ["UNICODE UTF-8", "CNS 11643-1992", "KS X 1001", "GB18030", "ISO IR87"])
def test_what_cannot_be_read_is_replaced_counted_and_told_by_place(name: str) -> None:
    decoded = decode(_message(name, b"D\xffe"))
    assert REPLACEMENT in Message.parse(decoded.text).value("PID-5")
    assert Message.parse(decoded.text).value("PID-3") == "7"
    assert decoded.replaced == 1
    assert "the first in PID-5" in decoded.warnings[-1]


def test_a_list_of_which_nothing_fits_ends_with_replacements() -> None:
    decoded = decode(_message("", b"\x81\xe9"), ["UTF-8", "windows-1252"])
    assert (decoded.replaced, decoded.codec) == (1, "cp1252")
    assert len(decoded.warnings) == 2


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_sixteen_bit_text_is_refused_with_a_hint(codec: str) -> None:
    with pytest.raises(BrokerError) as caught:
        decode("MSH|^~\\&|A".encode(codec))
    assert (caught.value.code, caught.value.ack) == ("H020", "AR")
    assert "UTF-8" in caught.value.hint


@pytest.mark.parametrize("raw", [b"", b"\xff", b"MSH", b"MSH|", b"MSH|^~\\&" + b"|" * 17, b"\xef\xbb\xbfMSH|^~\\&|"])
def test_any_bytes_are_decoded(raw: bytes) -> None:
    assert decode(raw, []).codec == "utf-8"


@pytest.mark.parametrize(
    ("name", "text", "raw"),
    [
        ("8859/1", "Müller", b"M\xfcller"),
        ("windows-1252", "€", b"\x80"),
        ("UNICODE UTF-8", "東", "東".encode()),
        ("ISO IR87", "東", b"\x1b$BEl\x1b(B"),
        ("KS X 1001", "김", b"\xb1\xe8"),
        ("", "Doe", b"Doe"),
    ],
)
def test_text_is_encoded_in_the_set_asked_for(name: str, text: str, raw: bytes) -> None:
    assert encode(text, name).raw == raw
    assert encode(text, name).warnings == ()


@pytest.mark.parametrize("name", ["8859/1", "", "KLINGON"])
def test_what_a_set_does_not_have_is_sent_as_a_question_mark_with_a_warning(name: str) -> None:
    encoded = encode("MSH|^~\\&|A\rPID|||7||東京", name)
    assert encoded.raw.endswith(b"||??")
    assert encoded.warnings[0].startswith("PID-5 holds characters")


def test_names_of_codecs_are_known_for_configuration() -> None:
    assert (find_codec("windows-1252"), find_codec("UTF-8"), find_codec("rot13")) == ("cp1252", "utf-8", None)


@pytest.mark.parametrize("codec", sorted(set(CODECS.values())))
def test_the_codec_of_a_message_is_a_name_for_its_answer(codec: str) -> None:
    assert find_codec(codec) == codec
