"""Print what one order costs in the mapping engine: reading, translating with the trace off and on, compiling all.

Usage: python bench/mapping_speed.py [MESSAGE...]      default: mappings/samples, each message of another patient and order

Times are processor time of one turn: best, median and the 95th percentile of many. The gauge is a fixed loop that no change
of the broker makes faster: its median against its best is the noise of the machine. The mappings are compiled as in a start
of the broker: what was imported is frozen, and the garbage collector is off until all is made.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from zoneinfo import ZoneInfo

from broker.config.mapping_files import read_mapping_files
from broker.hl7.message import Message
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue
from broker.mapping.edit import edited

ROOT = Path(__file__).resolve().parents[1] / "mappings"
SECONDS, PATIENTS = 1.5, 200
ZONE, NOW = ZoneInfo("Europe/Madrid"), datetime(2026, 4, 1, 9, 30, tzinfo=UTC)

PLACES = tuple(
    "PID-3.1 PID-5.1 PID-7 PID-8 PV1-2 PV1-19 ORC-1 ORC-2.1 ORC-3.1 ORC-9 OBR-2.1 OBR-3.1 OBR-4.1 OBR-4.2 OBR-13 OBR-16.2 "
    "OBR-18 OBR-19 OBR-20 OBR-24 OBR-27.4 OBR-44.1 ZDS-1.1 MSH-3 MSH-10".split()
)
"""25 fields of an order, as the comparison with other readers asks for them."""


def orders(text: str) -> Iterator[str]:
    """Give *text* again and again, each time with the next of many patients and order numbers."""
    made = []
    for number in range(PATIENTS):
        changes = [("PID-3.1", f"77{number:04}"), ("PID-5.1", f"IBANEZ{chr(65 + number % 26)}{chr(65 + number // 26)}")]
        changes += [(f"{path}.1", f"P{number:04}") for path in ("ORC-2", "ORC-3", "OBR-2", "OBR-3")]
        changes += [("PID-7", f"19{number % 90 + 10}0312"), ("OBR-18", f"A{number:04}")]
        present = {segment.name for segment in Message.parse(text).segments}
        made.append(edited(text, [change for change in changes if change[0][:3] in present]))
    return cycle(made)


def show(label: str, prepare: Callable[[], Any], run: Callable[[Any], object]) -> None:
    """Run many times and print the line of *label*; *prepare* makes what a run takes and is not counted."""
    times = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        subject = prepare()
        start = time.process_time_ns()
        run(subject)
        times.append((time.process_time_ns() - start) / 1000)
    late = quantiles(times, n=20)[-1]
    print(f"{label:<58} best {min(times):8.1f} us   median {median(times):8.1f} us   95 % {late:8.1f} us")


def compile_all() -> Catalogue | None:
    """Do with the shipped mappings what `broker check` and the start of the broker do."""
    catalogue, _ = Catalogue.load(read_mapping_files(ROOT))
    return catalogue


def gauge(_: None) -> int:
    """A loop of plain Python."""
    return sum(number for number in range(2000))


def read_fields(text: str) -> list[str]:
    """Read a message and 25 of its fields."""
    message = Message.parse(text)
    return [message.value(place) for place in PLACES]


def show_sample(sample: Path, mapping: Mapping) -> None:
    """Print the lines of one message."""
    texts = orders(sample.read_text().replace("\n", "\r"))

    def text() -> str:
        return next(texts)

    def message() -> Message:
        return Message.parse(text())

    def translate(message: Message) -> object:
        return mapping.translate(message, ZONE, NOW)

    show(f"{sample.stem}: read", text, Message.parse)
    show(f"{sample.stem}: read with 25 fields", text, read_fields)
    show(f"{sample.stem}: translate", message, translate)
    show(f"{sample.stem}: read and translate", text, lambda text: translate(Message.parse(text)))
    show(
        f"{sample.stem}: translate, traced", message, lambda message: mapping.translate(message, ZONE, NOW, trace=True)
    )


def main() -> None:
    """Measure and print."""
    gc.freeze()  # as every verb does after its imports
    gc.disable()  # as the broker does until it is ready
    start = time.process_time()
    catalogue = compile_all()
    first = time.process_time() - start
    if catalogue is None:
        sys.exit("no mapping is usable")
    count = len(catalogue.entries)
    label = f"read, check and compile {count} mappings, collector off"
    print(f"{label:<58} first {first * 1e6:7.1f} us, with HL7's dictionary")
    show(label, gc.collect, lambda _: compile_all())
    gc.enable()
    show("gauge", lambda: None, gauge)
    for sample in [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "samples").glob("*.hl7")):
        mapping = catalogue.find(Message.parse(sample.read_text()))
        if mapping is not None:
            show_sample(sample, mapping)
    show("gauge", lambda: None, gauge)


if __name__ == "__main__":
    main()
