"""A first mapping for a sender, made of its own messages: proposed rules with their evidence, and a first test."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from broker.hl7.message import Message
from broker.mapping.catalogue import Entry
from broker.mapping.engine import Output
from broker.mapping.profiles import STEP
from broker.mapping.survey import FORMATS, Seen, Survey, survey

NEARLY_ALL = 0.95
MODALITIES = "AR BMD CR CT DX ECG ES GM IO IVUS MG MR NM OCT OP OPT OT PT PX RF RG SM US XA XC".split()
_HL7_MODALITY = "|".join(MODALITIES)
_PREFIXES = (("CT", "CT"), ("MRI?", "MR"), ("NMR", "MR"), ("US|ECHO|SONO|ECO", "US"), ("MG|MAM", "MG"),
             ("PET", "PT"), ("NM|SPECT|SCINT", "NM"), ("XA|ANGIO|DSA", "XA"), ("RF|FLUO", "RF"), ("DXA|DEXA|BMD", "BMD"),
             ("XR|RX|DX|CR|X-?RAY|RAD", "DX"))  # fmt: skip
_UID = r"[0-2](\.(0|[1-9]\d*)){4,}"
_NAME = re.compile(r"[\w.-]*")
_NOT_A_NUMBER = re.compile(r"^(MSH|PID-(?!3|18)|NK1|PV|OBX|NTE|DG1|AL1|IN|GT1|EVN|TQ1)")


@dataclass(slots=True, kw_only=True)
class Proposal:
    """What the messages suggest: lines of YAML by section, each with the comment that gives its evidence."""

    head: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The messages, what they hold, and what the parent makes of them."""

    parent: Entry
    messages: Sequence[Message]
    found: Survey
    outputs: tuple[Output, ...]
    refused: Counter[str]
    read: frozenset[str]

    def share(self, path: str) -> float:
        """Give the share of orders (0 to 1) in which the parent fills the attribute at *path*."""
        steps = path.startswith(f"{STEP}.")
        keyword = path.removeprefix(f"{STEP}.")
        items = [(output.item.get(STEP) or [{}])[0] if steps else output.item for output in self.outputs]
        total = len(items) + self.refused[path]
        return sum(bool(item.get(keyword)) for item in items) / total if total else 0.0


def look(parent: Entry, messages: Sequence[Message], zone: ZoneInfo, at: datetime) -> Evidence:
    """Survey *messages* and run *parent* over them."""
    translations = [parent.mapping.translate(message, zone, at, trace=True) for message in messages]
    outputs = tuple(output for translation in translations for output in translation.outputs)
    refused = Counter(target for one in translations for target in {rejection.target for rejection in one.rejections})
    found = survey(messages)
    unused = Counter(path for translation in translations for path in set(translation.unused))
    read = frozenset(path for path, seen in found.places.items() if unused[path.partition(".")[0]] < seen.filled)
    return Evidence(parent=parent, messages=messages, found=found, outputs=outputs, refused=refused, read=read)


def propose(evidence: Evidence, charset: str) -> Proposal:
    """Make proposals for everything that the parent does not find in these messages. *charset*: what to assume, or empty."""
    proposal = Proposal()
    if charset:
        proposal.head.append(f"charset: assume {charset}{_told('MSH-18 is empty and the text is no UTF-8')}")
    for step in (_patient, _codes, _accession, _study, _modality, _start, _stations, _actions):
        step(evidence, proposal)
    return proposal


def _patient(evidence: Evidence, proposal: Proposal) -> None:
    found = evidence.found
    name, family = found.places.get("PID-5"), found.places.get("PID-5.1")
    whole = name or family
    if whole and whole.share(r"[^,]+, *[^,]+") >= NEARLY_ALL:
        rule = f'{{from: {whole.path}, as: {{name: "Last, First"}}}}'
        proposal.rules.append(f"PatientName: {rule}{_told('the whole name stands in one text', whole, found.total)}")
    birth = found.find("PID-7")
    written = birth.date_format() if birth else ""
    if birth and written:
        both = len({name for name, pattern in FORMATS if "/" in name and birth.share(pattern) == 1.0}) > 1
        why = "day first or month first? these do not tell" if both else "not HL7's way to write a date"
        proposal.rules.append(
            f"PatientBirthDate: {{from: PID-7, as: {{date: {written}}}}}{_told(why, birth, found.total)}"
        )
    authorities = [[name if _NAME.fullmatch(name) else "" for name in _authorities(one)] for one in evidence.messages]
    first = {one[0] for one in authorities if one}
    always = set.intersection(*map(set, authorities)) if authorities else set()
    others = {name for one in authorities for name in one[1:]} - first - {""}
    if len(first) == 1 and others:
        named = f"{', '.join(sorted(others))}: PatientID: 'PID-3[4={min(others)}].1'"
        proposal.questions.append(
            f"PatientID: the first number is taken, of {', '.join(first) or 'nobody'}; or one of {named}?"
        )
    if len(first) > 1 and (steady := sorted(always - {""})):
        why = f"the first number is of {', '.join(sorted(first))}; {', '.join(steady)} is always there"
        proposal.rules.append(f"PatientID: 'PID-3[4={steady[0]}].1'{_told(why)}")
        proposal.rules.append(f"IssuerOfPatientID: {{value: {steady[0]}}}")


def _authorities(message: Message) -> list[str]:
    return [
        segment.value(3, repetition, 4).partition("&")[0]
        for segment in message.named("PID")
        for repetition in range(1, len(segment.repetitions(3)) + 1)
    ]


def _codes(evidence: Evidence, proposal: Proposal) -> None:
    """List codes that a table of the parent does not have."""
    tables = evidence.parent.linked.tables
    for name, path, guesses in (
        ("sex", "PID-8", {"1": "M", "2": "F", "H": "M", "W": "F", "V": "F"}),
        ("priority", "", {}),
    ):
        seen = evidence.found.find(path) if path else _priority(evidence.found)
        table = tables.get(name)
        known = {key.upper() for key in table.columns.get("", {})} if table else set()
        missing = sorted(code for code in seen.values if code.upper() not in known) if seen else []
        if missing and seen and table and "*" not in known:
            parent = [f"{quoted(key)}: {quoted(value)}" for key, value in table.columns[""].items() if name == "sex"]
            pairs = [*parent, *(f"{quoted(code)}: {guesses.get(code.upper(), '')!r}" for code in missing)]
            if name == "sex":
                told = _told(f"new: {', '.join(missing)}; is the guess right?", seen, evidence.found.total)
                proposal.tables.append(f"{name}: {{{', '.join(pairs)}}}{told}")
            else:
                proposal.questions.append(
                    f"priority: what do {', '.join(missing)} in {seen.path} mean? (tables: priority)"
                )


def _priority(found: Survey) -> Seen | None:
    return next(
        (seen for path in ("TQ1-9.1", "TQ1-9", "ORC-7.6", "OBR-27.6") if (seen := found.places.get(path))), None
    )


def _accession(evidence: Evidence, proposal: Proposal) -> None:
    if any(seen and seen.filled for seen in map(evidence.found.find, ("OBR-18", "IPC-1"))):
        return
    has_stand_in = evidence.share("AccessionNumber") >= NEARLY_ALL
    for seen in _candidates(evidence, r"(?=.*\d)[!-~]{3,16}"):
        is_own = len(seen.values) >= 0.9 * min(seen.filled, 500)
        if is_own and seen.date_format() is None and not _NOT_A_NUMBER.match(seen.path) and seen.share(_UID) < 0.5:
            told = _told("a number of its own in each message", seen, evidence.found.total)
            if has_stand_in:
                proposal.questions.append(f"AccessionNumber: the order number stands in; or is it {seen.path}?{told}")
            else:
                proposal.rules.append(f"AccessionNumber: {seen.path} or $inherited{told}")
            return
    if has_stand_in:
        return
    proposal.questions.append(
        "AccessionNumber: no field holds a number of its own in each message; where does it stand?"
    )


def _study(evidence: Evidence, proposal: Proposal) -> None:
    for seen in _candidates(evidence, _UID):
        told = _told("a UID", seen, evidence.found.total)
        proposal.rules.append(f"StudyInstanceUID: {seen.path} or $inherited{told}")
        return


def _modality(evidence: Evidence, proposal: Proposal) -> None:
    if evidence.share(f"{STEP}.Modality") >= NEARLY_ALL:
        return
    for seen in _candidates(evidence, f"({_HL7_MODALITY})", of_all=True):
        if seen.path.startswith(("OBR", "ORC", "Z", "IPC")):
            told = _told("modalities", seen, evidence.found.total)
            rule = f"{{from: {seen.path}, clean: [trim, upper], lookup: modality, on_unknown: skip}}"
            proposal.steps += [f"Modality:{told}", f"  first_of: [{rule}, $inherited]"]
            return
    codes = evidence.found.find("OBR-4")
    if codes is None or len(codes.values) > 200:
        proposal.questions.append("Modality: neither a field nor a short list of procedure codes tells it")
        return
    guesses = {code: _guess(code, evidence.messages) for code in codes.values}
    proposal.tables.append("modality_by_procedure:" + _told("guessed from codes and texts: go through it", codes))
    proposal.tables += [
        f"  {quoted(code)}: {guess or repr('')}{'' if guess else '   # ?'}" for code, guess in guesses.items()
    ]


def _guess(code: str, messages: Sequence[Message]) -> str:
    words = [
        code,
        *(obr.value(4, 1, 2) for message in messages for obr in message.named("OBR") if obr.value(4, 1, 1) == code),
    ]
    for text in words[:2]:
        for pattern, modality in _PREFIXES:
            if re.match(rf"({pattern})(?![a-z]{{4}})|.*\b({pattern})\b", text, re.IGNORECASE):
                return modality
    return ""


def _start(evidence: Evidence, proposal: Proposal) -> None:
    known = sum(output.is_start_known for output in evidence.outputs)
    if evidence.outputs and known >= NEARLY_ALL * len(evidence.outputs):
        return
    for seen in evidence.found.places.values():
        written = seen.date_format()
        is_order = seen.segment in ("OBR", "ORC", "TQ1", "IPC", "SCH", "AIS") or seen.segment.startswith("Z")
        if (
            written is None
            or not is_order
            or seen.path in evidence.read
            or seen.filled < NEARLY_ALL * evidence.found.total
        ):
            continue
        told = _told("a date and time", seen, evidence.found.total)
        for keyword, kind in (("Date", "date"), ("Time", "time")):
            rule = f"{{from: {seen.path}, as: {{{kind}: '{written}'}}}}" if written else seen.path
            if not written and seen.segment.startswith("Z"):  # its fields have no type
                rule = f"{{from: {seen.path}, as: datetime}}"
            proposal.steps.append(f"ScheduledProcedureStepStart{keyword}: {{first_of: [{rule}, $inherited]}}{told}")
        return
    proposal.questions.append("start: no field holds a time; the time of receipt is taken, marked 'unscheduled time'")


def _stations(evidence: Evidence, proposal: Proposal) -> None:
    if evidence.share(f"{STEP}.ScheduledStationAETitle") >= NEARLY_ALL:
        return
    rooms = evidence.found.find("PV1-3.2")
    seen = f": PV1-3.2 has {rooms.shown()}" if rooms else ""
    proposal.questions.append(f"station: fill tables: station_by_room or station_by_procedure, if you want one{seen}")


def _actions(evidence: Evidence, proposal: Proposal) -> None:
    unknown = Counter(output.control for output in evidence.outputs if not output.action)
    for code, count in unknown.most_common():
        proposal.questions.append(f"order control {code} ({count}) has no effect: action: {{map: {{{code}: update}}}}?")


def _candidates(evidence: Evidence, fits: str, of_all: bool = False) -> Iterator[Seen]:
    """Give places that (nearly) every message fills with texts that fit; those that the parent reads only *of_all*."""
    found = [
        seen
        for path, seen in evidence.found.places.items()
        if (of_all or path not in evidence.read)
        and seen.filled >= NEARLY_ALL * evidence.found.total
        and seen.share(fits) >= NEARLY_ALL
    ]
    yield from sorted(found, key=lambda seen: not seen.segment.startswith(("Z", "OBR", "ORC")))


def _told(why: str, seen: Seen | None = None, total: int = 0) -> str:
    evidence = (
        f"; {seen.filled} of {total}: {seen.shown(3)}" if seen and total else f": {seen.shown(3)}" if seen else ""
    )
    return f"   # {why}{evidence}".replace("\n", " ")


def quoted(text: str) -> str:
    """Write *text* as a YAML scalar that is nothing but text."""
    return "'" + text.replace("'", "''") + "'"
