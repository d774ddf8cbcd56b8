"""Are these two the same patient? Names, numbers and birth dates compared as a registrar would (policies 6.2).

Every comparison has three answers: True, False, or None: one side is empty, so nothing is contradicted.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from broker.domain.order import Identity, Item, Patient
from broker.domain.text import fold

Answer = bool | None

_REPLACED = frozenset("?\ufffd")
_VOWELS = (("ae", "a"), ("oe", "o"), ("ue", "u"), ("aa", "a"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How a found identity compares with a patient, attribute by attribute."""

    patient_id: Answer
    name: Answer
    birth_date: Answer
    sex: Answer

    @property
    def fits(self) -> bool:
        """Say whether this is the patient: by number, or without one by name and nothing against it."""
        if self.patient_id is None:
            return self.name is True and self.birth_date is not False
        return self.patient_id

    @property
    def contradicts(self) -> bool:
        """Say whether this is somebody else: by number, or without one by name or birth date."""
        if self.patient_id is None:
            return self.name is False or self.birth_date is False
        return not self.patient_id

    @property
    def is_other_person(self) -> bool:
        """Say whether number and (name or birth date) contradict: nobody's typing error (policies 6.1)."""
        return self.patient_id is False and False in (self.name, self.birth_date)


def compare(found: Identity, patient: Patient) -> Likeness:
    """Compare *found* with *patient*: any identity, former or elsewhere, may confirm; only today's contradicts."""
    known = identities(patient)
    return Likeness(
        patient_id=_best([same_number(one, found) for one in known]),
        name=_best([same_name(one.name, found.name) for one in known]),
        birth_date=_best([same_date(one.birth_date, found.birth_date) for one in known]),
        sex=_best([same_sex(one.sex, found.sex) for one in known]),
    )


def identities(patient: Patient) -> tuple[Identity, ...]:
    """List who *patient* is now, was before, and is under other numbers."""
    others = items(patient.attributes, "OtherPatientIDsSequence")
    return (
        patient.identity,
        *patient.former,
        *(Identity(patient_id=text(one, "PatientID"), issuer=text(one, "IssuerOfPatientID")) for one in others),
    )


def same_number(known: Identity, found: Identity) -> Answer:
    """Compare patient IDs; numbers of different issuers say nothing about each other."""
    one, other = known.patient_id.strip(), found.patient_id.strip()
    if not one or not other or is_other_issuer(known.issuer, found.issuer):
        return None
    return one == other


def is_other_issuer(one: str, other: str) -> bool:
    """Say whether two issuers differ; an empty one differs from none."""
    return bool(one.strip() and other.strip()) and one.strip().casefold() != other.strip().casefold()


def same_name(one: str, other: str) -> Answer:
    """Compare two names (PN): family and given name decide; any two groups that are equal suffice (PS3.5 6.2.1).

    A name with replaced characters (``?``) comes from a device that could not show them, and says nothing.
    """
    if _REPLACED & {*one, *other}:
        return None
    groups = [[tuple(bare(part) for part in group.split("^")) for group in name.split("=")] for name in (one, other)]
    answers = {_same_group(a, b) for a in groups[0] for b in groups[1]}
    return True if True in answers else min(answers, key=lambda answer: answer is None)


def same_date(one: str, other: str) -> Answer:
    """Compare two dates by their digits."""
    first, second = ("".join(filter(str.isdigit, value))[:8] for value in (one, other))
    return None if not first or not second else first == second


def same_sex(one: str, other: str) -> Answer:
    """Compare two sexes; only F against M is a contradiction."""
    first, second = one.strip().upper(), other.strip().upper()
    return None if first not in ("F", "M") or second not in ("F", "M") else first == second


def bare(name: str) -> str:
    """Reduce a part of a name to what its spellings share: no case, accents, punctuation; ü = ue = u, ß = ss."""
    plain = "".join(letter for letter in fold(name) if unicodedata.category(letter)[0] in "LNM")
    for written, short in _VOWELS:
        plain = plain.replace(written, short)
    return plain


def text(item: Item, keyword: str) -> str:
    """Read one value of *item* as text; the first of several, empty when absent or a sequence."""
    value = item.get(keyword, "")
    if isinstance(value, (list, tuple)):
        value = value[0] if value else ""
    return value.strip() if isinstance(value, str) else ""


def items(item: Item, keyword: str) -> tuple[Item, ...]:
    """Read a sequence of *item*; empty when absent or no sequence."""
    value = item.get(keyword)
    return tuple(one for one in value if isinstance(one, dict)) if isinstance(value, (list, tuple)) else ()


def _same_group(one: tuple[str, ...], other: tuple[str, ...]) -> Answer:
    if "".join(one).isascii() != "".join(other).isascii():
        return None
    first, second = ((*parts, "", "", "", "")[:5] for parts in (one, other))
    shared = [(a, b) for a, b in zip(first[:2], second[:2], strict=True) if a and b]
    if not shared:
        return None if not any(one) or not any(other) else _same_words(first, second) or None
    if not _same_words(first, second) and any(a != b for a, b in shared):
        return False
    return all(not a or not b or a == b or _is_initial(a, b) for a, b in zip(first[2:], second[2:], strict=True))


def _same_words(first: tuple[str, ...], second: tuple[str, ...]) -> bool:
    """Say whether two names are equal when nobody minds where one part ends (``DOE JOHN`` and ``DOE^JOHN``)."""
    return bool({"".join(first[:2]), "".join(first[:3])} & {"".join(second[:2]), "".join(second[:3])})


def _is_initial(one: str, other: str) -> bool:
    return 1 in (len(one), len(other)) and one[0] == other[0]


def _best(answers: Sequence[Answer]) -> Answer:
    return True if True in answers else answers[0]
