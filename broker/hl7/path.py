"""Places in a message as people write them: ``PID-3.1``, ``OBX[2]-5``, ``PID-3[2].4.1``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from broker.errors import BrokerError

_PATH = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<occurrence>[1-9][0-9]{0,4})\])?"
    r"-(?P<field>[1-9][0-9]{0,2})(?:\[(?P<repetition>[1-9][0-9]{0,4})\])?"
    r"(?:\.(?P<component>[1-9][0-9]{0,2})(?:\.(?P<subcomponent>[1-9][0-9]{0,2}))?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One place; all numbers count from 1, component and subcomponent 0 mean the whole."""

    segment: str
    occurrence: int = 1
    field: int
    repetition: int = 1
    component: int = 0
    subcomponent: int = 0


@lru_cache(maxsize=4096)
def parse_path(text: str) -> Path:
    """Read *text* as a path; raise BrokerError H010 when it is none."""
    found = _PATH.fullmatch(text)
    if found is None:
        raise BrokerError(
            f"'{text[:80]}' is not a path",
            code="H010",
            hint="a path looks like PID-3.1 (segment, dash, field, dot, component)",
        )
    return Path(
        segment=found["segment"],
        occurrence=int(found["occurrence"] or 1),
        field=int(found["field"]),
        repetition=int(found["repetition"] or 1),
        component=int(found["component"] or 0),
        subcomponent=int(found["subcomponent"] or 0),
    )
