"""Log lines: what is said, and what never is."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from broker.errors import BrokerError
from broker.observe.logging import configure


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged, as text."""
    stream = io.StringIO()
    handlers, level = logging.root.handlers[:], logging.root.level
    configure(stream)
    yield stream
    structlog.reset_defaults()
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level


def read(lines: io.StringIO) -> dict[str, Any]:
    """The only line."""
    entry: dict[str, Any] = json.loads(lines.getvalue())
    return entry


def test_a_line_is_json_with_event_level_and_time(lines: io.StringIO) -> None:
    structlog.get_logger().info("order.scheduled", accession="A1", listener="his")
    entry = read(lines)
    assert (entry["event"], entry["level"], entry["accession"]) == ("order.scheduled", "info", "A1")
    assert entry["at"].endswith("Z")


def test_a_key_that_is_not_on_the_list_says_nothing(lines: io.StringIO) -> None:
    structlog.get_logger().info("order.scheduled", patient_name="DOE^JOHN", patient={"id": "77041"})
    entry = read(lines)
    assert (entry["patient_name"], entry["patient"]) == ("***", "***")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("PID-3 'DOE 7' is too long", "PID-3 '***' is too long"),
        ('no patient "Ibáñez" here', "no patient '***' here"),
        ("the sender's name isn't 'DOE'", "the sender's name isn't '***'"),
        ("PID-5 DOE^JOHN refused", "PID-5 *** refused"),
        ("unknown patient 1234567", "unknown patient ***"),
        ("127.0.0.1:2576 refused", "127.0.0.1:2576 refused"),
        ("mqtt://joe:secret@host is down", "mqtt://***@host is down"),
    ],
)
def test_free_text_is_told_without_its_values(lines: io.StringIO, text: str, said: str) -> None:
    structlog.get_logger().warning("destination.down", error=text)
    assert read(lines)["error"] == said


def test_passwords_in_addresses_are_masked(lines: io.StringIO) -> None:
    structlog.get_logger().info("store.opened", database="postgresql://joe:secret@host/name")
    assert read(lines)["database"] == "postgresql://***@host/name"


def test_an_exception_is_told_by_type_and_place_not_by_its_values(lines: io.StringIO) -> None:
    try:
        {}["DOE^JOHN"]
    except KeyError:
        structlog.get_logger().exception("dicom.request_failed")
    told = read(lines)["exception"]
    assert told.startswith("KeyError at test_logging.py:")
    assert "DOE" not in told


def test_an_error_of_the_broker_is_told_with_its_text_and_cause(lines: io.StringIO) -> None:
    try:
        try:
            raise OSError(28, "No space left on device")
        except OSError as fault:
            raise BrokerError("the store cannot write", code="S001") from fault
    except BrokerError as error:
        structlog.get_logger().error("store.failed", exc_info=error)
    told = read(lines)["exception"]
    assert told.startswith("BrokerError: the store cannot write at test_logging.py:")
    assert "from OSError: [Errno 28] No space left on device" in told


def test_what_libraries_log_is_masked_too(lines: io.StringIO) -> None:
    logging.getLogger("somelib").warning("bad value 'DOE^JOHN'")
    entry = read(lines)
    assert (entry["event"], entry["library"], entry["text"]) == ("library.logged", "somelib", "bad value '***'")


def test_chatter_below_the_level_is_not_written(lines: io.StringIO) -> None:
    structlog.get_logger().debug("frame.read")
    logging.getLogger("somelib").info("hello")
    assert lines.getvalue() == ""


def test_a_terminal_gets_key_value_lines(lines: io.StringIO) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    configure(terminal)
    try:
        raise KeyError("DOE^JOHN")
    except KeyError:
        structlog.get_logger().exception("order.failed", accession="A1")
    assert "order.failed" in terminal.getvalue()
    assert "DOE" not in terminal.getvalue()


def test_a_log_that_cannot_be_written_stops_nobody(lines: io.StringIO) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    configure(Full())

    structlog.get_logger().info("order.scheduled")
