"""Writing: places in, ER7 out."""

import pytest

from broker.errors import BrokerError
from broker.hl7.separators import Separators
from broker.hl7.write import write


def test_segments_are_written_in_order_with_the_delimiters_in_the_header() -> None:
    segments = [
        ("MSH", {(3, 0, 0): "BROKER", (9, 1, 0): "ORU", (9, 2, 0): "R01", (12, 0, 0): "2.5.1"}),
        ("PID", {(3, 1, 0): "7", (3, 4, 1): "CITY", (3, 4, 2): "1.2", (5, 2, 0): "Ana"}),
    ]
    assert write(segments) == "MSH|^~\\&|BROKER||||||ORU^R01|||2.5.1\rPID|||7^^^CITY&1.2||^Ana\r"


def test_a_sequence_gives_repetitions_and_empty_ends_are_trimmed() -> None:
    values = {(3, 1, 0): ["1", "", "3", ""], (3, 4, 0): ["A"], (4, 0, 0): "", (5, 1, 0): []}
    assert write([("PID", values)]) == "PID|||1^^^A~~3\r"


def test_text_is_escaped_with_the_delimiters_asked_for() -> None:
    own = Separators(field="$", component="%", repetition="!", escape="?", subcomponent="*")
    assert write([("MSH", {(3, 0, 0): "a%b"}), ("NTE", {(3, 0, 0): "50$\nor ^"})], own) == (
        "MSH$%!?*$a?S?b\rNTE$$$50?F??.br?or ^\r"
    )


def test_a_segment_without_values_is_written() -> None:
    assert write([("ZDS", {})]) == "ZDS|\r"


def test_field_zero_is_refused() -> None:
    with pytest.raises(BrokerError, match="is no place"):
        write([("PID", {(0, 0, 0): "x"})])
