"""Orders that others wrote: what the shipped mappings make of each, and which template makes more of it.

``RADBROKER_CORPORA=folder make test TESTS="-s tests/mappings/test_orders_of_others.py"`` looks at another folder than
tests/corpus, and tells what became of it: the figures of docs/what-does-not-map.md are counted so.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from broker.config.mapping_files import read_mapping_files
from broker.errors import BrokerError
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue
from broker.mapping.engine import Translation

ROOT = Path(__file__).parents[2]
OURS = ROOT / "tests" / "corpus"
KINDS = ("ORM", "OMG", "OMI", "SIU")
FATES = ("refused", "nothing", "no effect", "unassigned", "entry")
"""From what nobody wants to what everybody does: an entry has a modality in each of its steps."""


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    """The mappings as they are delivered."""
    found, _ = Catalogue.load(read_mapping_files(ROOT / "mappings"))
    assert found is not None
    return found


def orders(folder: Path) -> Iterator[tuple[Path, Message]]:
    for path in sorted(folder.rglob("*.hl7")):
        try:
            decoded = decode(path.read_bytes().strip(b"\x0b\x1c\r\n"))
            message = Message.parse(decoded.text, decoded.codec)
        except BrokerError:
            continue
        if message.type[:3] in KINDS:
            yield path, message


def fate(mapping: Mapping | None, message: Message) -> str:
    """Say what becomes of the least lucky order of *message*."""
    if mapping is None:
        return "nothing"
    made = mapping.translate(message, ZoneInfo("UTC"), datetime(2026, 4, 1, tzinfo=UTC))
    return min(fates(made), key=FATES.index)


def fates(made: Translation) -> Iterator[str]:
    yield from ("refused" for _ in made.rejections)
    for output in made.outputs:
        steps = output.item.get("ScheduledProcedureStepSequence") or [{}]
        if output.action not in ("create", "update"):
            yield "no effect"
        else:
            yield "entry" if all(step.get("Modality") for step in steps) else "unassigned"


def as_site(template: Mapping) -> Mapping:
    """Give what a file of two lines makes of a template: ``extends:`` it, ``when:`` the message is that sender's."""
    return replace(template, is_template=False)


def test_orders_are_taken_as_shipped_or_by_a_template(shipped: Catalogue) -> None:
    named = os.environ.get("RADBROKER_CORPORA")
    mappings = [entry.mapping for entry in shipped.entries.values()]
    templates = [as_site(one) for one in mappings if one.is_template and one.message_type]
    told: dict[str, tuple[str, list[str]]] = {}
    folder = Path(named) if named else OURS
    for path, message in orders(folder):
        before = fate(shipped.find(message), message)
        better = [
            one.name
            for one in templates
            if one.claims(message, message.type) and FATES.index(fate(one, message)) > max(FATES.index(before), 2)
        ]
        told[path.relative_to(folder).as_posix()] = before, better if before not in ("entry", "no effect") else []

    assert told
    for name, (before, better) in told.items():
        print(f"{before:10} {name}", *better)
    print(len(told), "orders as shipped:", dict(Counter(before for before, _ in told.values())))
    print("more by a template:", dict(Counter(before for before, better in told.values() if better)))
    print("by which:", dict(Counter(name for _, better in told.values() for name in better)))
    if named is None:
        assert told["hl7/AE/no_order_control.hl7"] == ("refused", ["examples/no-order-control"])
        assert told["hl7/AE/no_patient_id.hl7"] == ("refused", [])
        assert told["hl7/AA/order.hl7"] == ("entry", [])
