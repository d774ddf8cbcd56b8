"""A set of mapping files that was in force: kept so that it can be compared with, looked at and gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

KEPT = 20
"""Sets that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingSet:
    """*digest* names the content; *instead_of* is the digest of the folder's set when a person went back to this one."""

    digest: str
    loaded_at: datetime
    mappings: int
    reason: str
    content: bytes
    instead_of: str = ""
