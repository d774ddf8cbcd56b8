"""What is left to do for a mapping: codes that no table knows and values that no attribute can hold, by how often they came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from zoneinfo import ZoneInfo

from broker.errors import BrokerError
from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import Sample, chosen, outcome, read_sample
from broker.mapping.engine import Translation

UNKNOWN_CODE = "103"
"""HL7 table 0357: a code that is not in its table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """One thing to mend in *mapping*, met in *count* messages, the newest of which is *example*. *text* holds the value."""

    mapping: str
    kind: Literal["unknown", "invalid"]
    target: str
    text: str
    rule: str
    example: str
    count: int = 1


def todo(catalogue: Catalogue, samples: Iterable[Sample], zone: ZoneInfo) -> list[Todo]:
    """Run the mappings over *samples*, newest first; give what they stumble over, the most frequent first."""
    return summed(stumbled(catalogue, sample, zone) for sample in samples)


def stumbled(catalogue: Catalogue, sample: Sample, zone: ZoneInfo) -> Sequence[Todo]:
    """Give what its mapping stumbles over in one message, each thing once."""
    try:
        message = read_sample(sample, catalogue, catalogue)
    except BrokerError:
        return ()
    mapping = chosen(catalogue, message)
    made = outcome(mapping, message, sample, zone)
    if isinstance(made, str) or isinstance(mapping, str):
        return ()
    return tuple({_key(one): one for one in _stumbled(made, mapping.name, sample.label)}.values())


def summed(found: Iterable[Sequence[Todo]]) -> list[Todo]:
    """Sum up what was found in messages, newest first; the most frequent comes first."""
    first: dict[tuple[str, str, str], Todo] = {}
    counts = Counter[tuple[str, str, str]]()
    for of_message in found:
        for one in of_message:
            first.setdefault(_key(one), one)
            counts[_key(one)] += 1
    every = [replace(one, count=counts[key]) for key, one in first.items()]
    return sorted(every, key=lambda one: (-one.count, one.target, one.text, one.mapping))


def _key(one: Todo) -> tuple[str, str, str]:
    return one.mapping, one.target, one.text


def _stumbled(made: Translation, mapping: str, label: str) -> Iterator[Todo]:
    for remark in made.warnings:
        if remark.kind == "unknown" or remark.kind == "invalid":
            yield Todo(
                mapping=mapping,
                kind=remark.kind,
                target=remark.target,
                text=remark.text,
                rule=remark.rule,
                example=label,
            )
    for refused in made.rejections:
        if refused.hl7_code != "101":
            yield Todo(
                mapping=mapping,
                kind="unknown" if refused.hl7_code == UNKNOWN_CODE else "invalid",
                target=refused.target,
                text=refused.text,
                rule=refused.rule,
                example=label,
            )
    for output in made.outputs:
        if not output.action and output.control:
            text = f"'{output.control}' is not in action"
            yield Todo(
                mapping=mapping, kind="unknown", target="action", text=text, rule=f"mapping {mapping}", example=label
            )
