"""Reading: delimiters, line ends, places, nulls, header fields, refusals."""

import pytest

from broker.errors import BrokerError
from broker.hl7.message import NULL, Message

ORDER = (
    "MSH|^~\\&|RIS^1.2^ISO|NORTH|BROKER|RAD|20260402101500+0200||ORM^O01^ORM_O01|C1|P|2.5.1|||||ESP|8859/1~UNICODE\r"
    "PID|1||77041^^^CITY&1.2.3&ISO^MR~X9^^^SHOP||Ib\\T\\nez&de^N\\S\\ria\r"
    'ORC|NW|P1^RIS|F1||SC||^^^20260403||""\r'
    "OBR|1|P1|F1|CT^Head\rOBR|2|P1|F1|MR^Knee\rZDS|1.2.3^RIS\r"
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("MSH-1", "|"),
        ("MSH-2", "^~\\&"),
        ("MSH-3", "RIS^1.2^ISO"),
        ("MSH-3.1", "RIS"),
        ("MSH-10.1", "C1"),
        ("MSH-18", "8859/1"),
        ("MSH-18[2]", "UNICODE"),
        ("PID-3.1", "77041"),
        ("PID-3.4", "CITY"),
        ("PID-3.4.2", "1.2.3"),
        ("PID-3[2].4", "SHOP"),
        ("PID-3[2].4.1", "SHOP"),
        ("PID-3[3].1", ""),
        ("PID-5", "Ib\\T\\nez&de^N\\S\\ria"),
        ("PID-5.1", "Ib&nez"),
        ("PID-5.2", "N^ria"),
        ("PID-1.2", ""),
        ("PID-99", ""),
        ("ORC-9", NULL),
        ("ORC-4", ""),
        ("OBR[2]-4.2", "Knee"),
        ("OBR[3]-4.2", ""),
        ("ZDS-1.1", "1.2.3"),
        ("NTE-3", ""),
    ],
)
def test_a_path_finds_its_text(path: str, text: str) -> None:
    assert Message.parse(ORDER).value(path) == text


def test_the_header_is_read_by_name() -> None:
    message = Message.parse(ORDER)
    assert (message.type, message.control_id, message.version, message.processing_id) == ("ORM^O01", "C1", "2.5.1", "P")
    assert (message.sending_application, message.sending_facility) == ("RIS", "NORTH")
    assert (message.receiving_application, message.receiving_facility) == ("BROKER", "RAD")
    assert (message.charset_name, message.timestamp) == ("8859/1", "20260402101500+0200")


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r", "\n\n"])
def test_any_line_end_ends_a_segment(end: str) -> None:
    message = Message.parse(ORDER.rstrip("\r").replace("\r", end))
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "ORC", "OBR", "OBR", "ZDS"]
    assert [segment.index for segment in message.segments] == [0, 1, 2, 3, 4, 5]


def test_a_lone_line_feed_among_carriage_returns_is_text_unless_a_segment_follows() -> None:
    message = Message.parse("MSH|^~\\&|A\rNTE|1||first line\nsecond line\nPID|1\r")
    assert message.value("NTE-3") == "first line\nsecond line"
    assert message.value("PID-1") == "1"


@pytest.mark.parametrize("before", ["\ufeff", "\r\n", "  \t", "\x0b", "\x00"])
def test_a_byte_order_mark_and_white_space_before_the_header_are_passed_over(before: str) -> None:
    assert Message.parse(before + ORDER).control_id == "C1"


def test_indented_segments_are_read() -> None:
    assert Message.parse("MSH|^~\\&|A\n  PID|7\n \n").value("PID-1") == "7"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("MSH$%!?*$A%b*c$", ("A", "b", "c")),
        ("MSH|^~\\&#|A^b&c|", ("A", "b", "c")),
        ("MSH|^~\\\\&|A^b&c|", ("A", "b", "c")),
        ("MSH||A^b&c|", ("A", "b", "c")),
        ("MSH|^~|A^b&c|", ("A", "b&c", "")),
        ("MSH|^|A^b~c|", ("A", "b~c", "")),
    ],
)
def test_declared_delimiters_are_used(header: str, expected: tuple[str, str, str]) -> None:
    message = Message.parse(header)
    first, second = message.header.value(3, 1, 1), message.header.value(3, 1, 2, 1)
    assert (first, second, message.header.value(3, 1, 2, 2)) == expected


def test_a_header_alone_is_a_message() -> None:
    message = Message.parse("MSH|^~\\&")
    assert (message.control_id, message.type, message.value("MSH-2")) == ("", "", "^~\\&")


def test_raw_pieces_are_given_as_written() -> None:
    patient = Message.parse(ORDER).named("PID")[0]
    assert patient.raw(5) == "Ib\\T\\nez&de^N\\S\\ria"
    assert patient.repetitions(3) == ["77041^^^CITY&1.2.3&ISO^MR", "X9^^^SHOP"]
    assert patient.components(3, 2) == ["X9", "", "", "SHOP"]
    assert (patient.repetitions(99), patient.components(99), patient.components(3, 5)) == ([], [], [])


def test_the_delimiters_of_the_header_are_never_split() -> None:
    header = Message.parse(ORDER).header
    assert (header.repetitions(2), header.components(2)) == (["^~\\&"], ["^~\\&"])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "H001"),
        ("hello", "H001"),
        ("MSH", "H001"),
        ("MSHABC", "H001"),
        ("MSH\r|", "H001"),
        ("msh|^~\\&|", "H001"),
        ("FHS|^~\\&|\rMSH|^~\\&|", "H001"),
        ("MSH|HIS|NORTH|", "H002"),
        ("MSH|^~\\&|A\rMSH|^~\\&|B\r", "H003"),
        ("MSH|^~\\&|A\r" + "Z\r" * 200_000, "H004"),
    ],
)
def test_what_is_no_message_is_refused_with_a_hint(text: str, code: str) -> None:
    with pytest.raises(BrokerError) as caught:
        Message.parse(text)
    assert (caught.value.code, caught.value.ack, caught.value.hl7_code) == (code, "AR", "100")
    assert caught.value.hint
    assert caught.value.location.startswith("MSH^")


@pytest.mark.parametrize("path", ["OBR.18", "PID", "pid-3", "PID-0", "PID-3.1.2.3", "PID-3[0]", "PID-3.1 ", ""])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(BrokerError, match="is not a path"):
        Message.parse(ORDER).value(path)
