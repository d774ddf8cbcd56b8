"""Who may use the console and the API: people with passwords, programs with tokens. Only hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person; *password_hash* is argon2's encoded text."""

    name: str
    password_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A program's bearer token by name; *token_hash* is what is looked up, the token itself is shown once."""

    name: str
    token_hash: str
    created_at: datetime
    expires_at: datetime | None = None
