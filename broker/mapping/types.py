"""What the standards say of fields and attributes: HL7 types by hl7.dictionary, DICOM VRs by PS3.6."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from broker.hl7 import dictionary
from broker.standard import ATTRIBUTES, TAGS

Kind = Literal["name", "moment", "code", "composite", "text", "untyped"]

NAMES = frozenset({"XPN", "XCN", "CNN", "PPN", "PN"})
MOMENTS = frozenset({"TS", "DTM", "DT"})
CODES = frozenset({"CE", "CWE", "CNE", "CF"})
UNTYPED = frozenset({"varies", "VARIES", "", "*"})

TEXT_VRS = frozenset(
    {"AE", "AS", "CS", "DS", "IS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT", "US", "UL", "SS", "SL"}
)
MOMENT_VRS = frozenset({"DA", "TM", "DT"})
USABLE_VRS = TEXT_VRS | MOMENT_VRS | {"PN", "SQ"}


_PRIVATE = re.compile(
    r"\[(?P<creator>[^\]\\\x00-\x1f]{1,64})\]"
    r"\((?P<group>[0-9A-Fa-f]{3}[13579BDFbdf]),(?P<block>xx|00|[1-9A-Fa-f][0-9A-Fa-f])(?P<element>[0-9A-Fa-f]{2})\)"
)
"""A private attribute: the block ``xx`` is the first one, 10; 00 is where the creators stand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A DICOM attribute; *is_many*: it may have several values. A private one has its *creator*, and its tag for a keyword."""

    keyword: str
    tag: str
    vr: str
    is_many: bool
    creator: str = ""

    @property
    def key(self) -> str:
        """What it goes by among the values of an order."""
        return self.tag.lower() if self.creator else self.keyword

    @property
    def creator_key(self) -> str:
        """Where the creator of its block stands (PS3.5 7.8.1)."""
        return f"{self.key[:6]}00{self.key[6:8]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What stands at an HL7 path: the field's name and datatype."""

    name: str
    datatype: str

    @property
    def kind(self) -> Kind:
        """How values of this type are converted (mapping language section 5)."""
        return kind_of(self.datatype)


@lru_cache(maxsize=1024)
def find_attribute(name: str) -> Attribute | None:
    """Find a DICOM attribute by keyword, ``(0010,0020)`` or ``[CREATOR](0029,xx01)``; a private one holds text (LO)."""
    private = _PRIVATE.fullmatch(name)
    if private:
        where = f"({private['group']},{private['block'].replace('xx', '10')}{private['element']})".upper()
        creator = private["creator"]
        return Attribute(keyword=f"[{creator}]{where}", tag=where, vr="LO", is_many=True, creator=creator)
    tagged = re.fullmatch(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)", name)
    tag = int(tagged[1] + tagged[2], 16) if tagged else TAGS.get(name)
    if tag is None or tag not in ATTRIBUTES:
        return None
    vr, multiplicity, _, _, keyword = ATTRIBUTES[tag]
    if not keyword:
        return None
    return Attribute(
        keyword=keyword, tag=f"({tag >> 16:04X},{tag & 0xFFFF:04X})", vr=vr.split(" ")[0], is_many=multiplicity != "1"
    )


def is_private_tag(name: str) -> bool:
    """Say whether *name* is the tag of a private attribute, without its creator."""
    return re.fullmatch(r"\([0-9A-Fa-f]{3}[13579BDFbdf],[0-9A-Fa-fx]{4}\)", name) is not None


def keywords() -> list[str]:
    """Give all DICOM keywords, for suggestions."""
    return list(TAGS)


def usable_keywords() -> list[str]:
    """Give the keywords of the attributes that a rule can make and that the standard has not retired."""
    return [
        keyword
        for vr, _, _, retired, keyword in ATTRIBUTES.values()
        if keyword and not retired and vr.split(" ")[0] in USABLE_VRS
    ]


@lru_cache(maxsize=256)
def kind_of(datatype: str) -> Kind:
    """Say how values of *datatype* are converted."""
    if datatype in UNTYPED:
        return "untyped"
    if datatype in NAMES:
        return "name"
    if datatype in MOMENTS:
        return "moment"
    if datatype in CODES:
        return "code"
    return "composite" if dictionary.components(datatype) else "text"


def find_typed(
    segment: str, field: int, component: int, subcomponent: int, declared: Mapping[str, str], version: str
) -> Typed | None:
    """Find what stands at a path; None when the standard has no such place. *declared* types Z fields."""
    if segment.startswith("Z"):
        top = Typed(name=f"{segment}-{field}", datatype=declared.get(f"{segment}-{field}", ""))
        return _inside(top, component, subcomponent, version)
    return _find_standard(segment, field, component, subcomponent, version)


@lru_cache(maxsize=4096)
def _find_standard(segment: str, field: int, component: int, subcomponent: int, version: str) -> Typed | None:
    found = dictionary.field(segment, field, version)
    if found is None:
        return None
    return _inside(Typed(name=found.name, datatype=found.datatype), component, subcomponent, version)


def _inside(top: Typed, component: int, subcomponent: int, version: str) -> Typed | None:
    for number in (component, subcomponent):
        if number and top.kind != "untyped":
            below = _below(top, number, version)
            if below is None:
                return None
            top = below
    return top


def _below(typed: Typed, number: int, version: str) -> Typed | None:
    components = dictionary.components(typed.datatype, version)
    if not components:
        return typed if number == 1 else None
    if number > len(components):
        return None
    found = components[number - 1]
    return Typed(name=found.name, datatype=found.datatype)


def is_segment(name: str) -> bool:
    """Say whether the standard knows the segment, or it is a Z segment."""
    return name.startswith("Z") or dictionary.segment_exists(name)


def fits(kind: Kind, vr: str) -> bool:
    """Say whether a value of *kind* becomes *vr* without being told how (mapping language section 5)."""
    match kind:
        case "name":
            return vr == "PN"
        case "moment":
            return vr in MOMENT_VRS or vr in TEXT_VRS
        case "code":
            return vr == "SQ"
        case "text":
            return vr != "SQ"
        case "untyped":
            return vr == "PN" or vr in TEXT_VRS
        case "composite":
            return False


def fitting_fields(segment: str, vr: str, version: str) -> list[str]:
    """Give the first fields of *segment* whose type becomes *vr*, as paths."""
    own: dict[str, Kind] = {"PN": "name", "DA": "moment", "TM": "moment", "DT": "moment", "SQ": "code"}
    wanted = own.get(vr, "text")
    found = (n for n, field in dictionary.fields(segment, version).items() if kind_of(field.datatype) == wanted)
    return [f"{segment}-{n}" for n in found][:3]
