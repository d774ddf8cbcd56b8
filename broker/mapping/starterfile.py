"""Writing a starter file: the proposals, what is to decide, a first test, and what the messages hold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from broker.mapping.engine import Translation
from broker.mapping.profiles import STEP
from broker.mapping.starter import Evidence, Proposal, quoted
from broker.mapping.survey import Seen


def written(name: str, title: str, condition: str, evidence: Evidence, proposal: Proposal, tests: Sequence[str]) -> str:
    """Write the file: head, tables, rules, tests, then what the messages hold and what nobody reads."""
    total = evidence.found.total
    lines = [
        "# yaml-language-server: $schema=../schema/mapping-v1.json",
        f"mapping: {name}",
        f"title: {quoted(title)}",
        f"extends: {evidence.parent.mapping.name}",
        *([f"when: {quoted(condition) if re.search(': | #', condition) else condition}"] if condition else []),
        *proposal.head,
        "",
        f"# Made of {total} message(s), {len(evidence.outputs) + sum(evidence.refused.values())} order(s). What is not set here",
        f"# comes from {evidence.parent.mapping.name}: broker show {name} --resolved",
        *(f"# TO DECIDE  {question}" for question in proposal.questions),
        *(["", "tables:", *(f"  {line}" for line in proposal.tables)] if proposal.tables else []),
    ]
    if proposal.rules or proposal.steps:
        lines += ["", "set:", *(f"  {line}" for line in proposal.rules)]
    if proposal.steps:
        lines += ["  ScheduledProcedureStepSequence:", "    item:", *(f"      {line}" for line in proposal.steps)]
    lines += [
        "",
        *tests,
        "",
        "# What the messages hold (filled in how many, what it looks like), + read by a rule, - by none:",
    ]
    lines += [
        _line(seen, total, seen.path in evidence.read)
        for seen in evidence.found.places.values()
        if seen.segment != "MSH"
    ]
    return "\n".join(lines) + "\n"


def _line(seen: Seen, total: int, is_read: bool) -> str:
    line = (
        f"#  {'+' if is_read else '-'} {seen.path:<10} {seen.filled:>4}/{total:<4} {seen.name[:28]:<28} {seen.shown()}"
    )
    return "".join(character if character.isprintable() else " " for character in line).rstrip()[:160]


def test_of(sample: str, translation: Translation) -> list[str]:
    """Write a first test: the message itself, and what the mapping makes of it today."""
    text = [f"      {line}" for line in sample.split("\r") if line]
    lines = ["tests:", "  - name: a message of this sender", "    message: |", *text]
    if translation.rejections:
        return [*lines, f"    expect_reject: {translation.rejections[0].target}"]
    if not translation.outputs:
        return lines
    output = translation.outputs[0]
    lines += [f"    action: {output.action or 'none'}", "    expect:"]
    step = (output.item.get(STEP) or [{}])[0]
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "AccessionNumber",
        "RequestedProcedureID",
    ):
        lines += _expected(keyword, output.item.get(keyword))
    for keyword in (
        "Modality",
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepID",
    ):
        if keyword != "ScheduledProcedureStepStartDate" or output.is_start_known:
            lines += _expected(f"{STEP}[1].{keyword}", step.get(keyword))
    return lines


def _expected(path: str, value: Any) -> list[str]:
    return [f"      {path}: {quoted(value)}"] if isinstance(value, str) and "\n" not in value else []
