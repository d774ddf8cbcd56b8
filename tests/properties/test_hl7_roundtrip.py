"""What is written is read back; nothing that arrives breaks the reader."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError
from broker.hl7.message import Message
from broker.hl7.separators import Separators, escape, unescape
from broker.hl7.write import write

MARKS = st.lists(st.sampled_from("|^~\\&#!$%*+;:@/"), min_size=5, max_size=5, unique=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text("|^~\\&XFSTREHN.br410\n", max_size=20)
PLACES = st.tuples(st.integers(3, 12), st.integers(1, 4), st.integers(1, 3))


def _separators(marks: list[str]) -> Separators:
    field, component, repetition, mark, subcomponent = marks
    return Separators(field=field, component=component, repetition=repetition, escape=mark, subcomponent=subcomponent)


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@given(TEXTS, MARKS)
def test_escaped_text_is_read_back(text: str, marks: list[str]) -> None:
    separators = _separators(marks)
    assert unescape(escape(text, separators), separators) == _one_line_end(text)


@given(MARKS, st.dictionaries(PLACES, TEXTS, max_size=12), st.lists(st.lists(TEXTS, max_size=4), max_size=4))
def test_a_written_message_is_read_back(
    marks: list[str], values: dict[tuple[int, int, int], str], repeated: list[list[str]]
) -> None:
    separators = _separators(marks)
    fields = {(20 + n, 1, 1): texts for n, texts in enumerate(repeated)}
    message = Message.parse(write([("MSH", {(3, 0, 0): "A"}), ("ZZZ", {**values, **fields})], separators))
    segment = message.named("ZZZ")[0]
    for (field, component, subcomponent), text in values.items():
        assert segment.value(field, 1, component, subcomponent) == _one_line_end(text)
    for (field, _, _), texts in fields.items():
        for n, text in enumerate(texts, 1):
            assert segment.value(field, n, 1, 1) == _one_line_end(text)


@given(st.text(max_size=200) | st.text('MSHPID|^~\\&\r\n"X41 ', max_size=200).map(lambda text: "MSH|^~\\&|" + text))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BrokerError):
        message = Message.parse(text)
        for segment in message.segments:
            for field in range(segment.last_field + 2):
                for repetition in range(1, len(segment.repetitions(field)) + 2):
                    assert isinstance(segment.value(field, repetition, 1, 1), str)
                    assert isinstance(segment.value(field, repetition), str)
