"""What is left to do for a mapping: codes that no table knows and values that no attribute can hold, by how often they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

from broker.errors import BrokerError
from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import Sample, chosen, outcome, read_sample
from broker.mapping.engine import Translation

UNKNOWN_CODE = "103"
"""HL7 table 0357: a code that is not in its table."""


@dataclass(slots=True, kw_only=True)
class Todo:
    """One thing to mend, met in *count* messages, the newest of which is *example*. *text* holds the value."""

    kind: Literal["unknown", "invalid"]
    target: str
    text: str
    rule: str
    example: str
    count: int = 1


def todo(catalogue: Catalogue, samples: Iterable[Sample], zone: ZoneInfo) -> list[Todo]:
    """Run the mappings over *samples*, newest first; give what they stumble over, the most frequent first."""
    found: dict[tuple[str, str], Todo] = {}
    for sample in samples:
        try:
            message = read_sample(sample, catalogue, catalogue)
        except BrokerError:
            continue
        mapping = chosen(catalogue, message)
        made = outcome(mapping, message, sample, zone)
        if isinstance(made, str) or isinstance(mapping, str):
            continue
        for one in {(one.target, one.text): one for one in _stumbled(made, mapping.name, sample.label)}.values():
            known = found.setdefault((one.target, one.text), one)
            known.count += known is not one
    return sorted(found.values(), key=lambda one: (-one.count, one.target, one.text))


def _stumbled(made: Translation, mapping: str, label: str) -> Iterator[Todo]:
    for remark in made.warnings:
        if remark.kind == "unknown" or remark.kind == "invalid":
            yield Todo(kind=remark.kind, target=remark.target, text=remark.text, rule=remark.rule, example=label)
    for refused in made.rejections:
        kind: Literal["unknown", "invalid"] = "unknown" if refused.hl7_code == UNKNOWN_CODE else "invalid"
        if refused.hl7_code != "101":
            yield Todo(kind=kind, target=refused.target, text=refused.text, rule=refused.rule, example=label)
    for output in made.outputs:
        if not output.action and output.control:
            text = f"'{output.control}' is not in action"
            yield Todo(kind="unknown", target="action", text=text, rule=f"mapping {mapping}", example=label)
