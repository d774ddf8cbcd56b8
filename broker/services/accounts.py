"""Who may use the console and the API: passwords checked with argon2, tokens by their hash."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from functools import cache
from typing import Protocol

import structlog
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from broker.domain.accounts import Token, User
from broker.ports import Changes, Clock, Held, Job, Writer

log = structlog.get_logger()

REMEMBERED_FOR = timedelta(minutes=1)
REMEMBERED = 256
HASHED_AT_ONCE = 2
"""Argon2 takes 64 MB a password; more wait."""


class AccountReader(Protocol):
    """The part of the store that knows users and tokens."""

    async def user(self, name: str) -> User | None:
        """Find the user with that name."""

    async def token(self, token_hash: str) -> Token | None:
        """Find the token with that hash."""

    async def has_users(self) -> bool:
        """Say whether anybody may log in yet."""


class Accounts:
    """Checks and adds users and tokens. A password that was right is remembered for a minute, as a keyed hash."""

    def __init__(self, *, reader: AccountReader, writer: Writer, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._hashing = asyncio.Semaphore(HASHED_AT_ONCE)
        self._key = secrets.token_bytes(32)
        self._right_until: dict[bytes, datetime] = {}

    async def has_users(self) -> bool:
        """Say whether anybody may log in yet."""
        return await self._reader.has_users()

    async def is_password(self, name: str, password: str) -> bool:
        """Say whether *password* is that of the user *name*; an unknown user takes as long as a wrong password."""
        user = await self._reader.user(name)
        encoded = user.password_hash if user else ""
        mark = hmac.digest(self._key, "\0".join((name, encoded, password)).encode("utf-8", "replace"), "sha256")
        if user and self._right_until.get(mark, self._clock()) > self._clock():
            return True
        async with self._hashing:
            is_right = await asyncio.to_thread(_verify, encoded or await asyncio.to_thread(_nobody), password)
        if user and is_right:
            self._remember(mark)
        return is_right and user is not None

    async def find_token(self, secret: str) -> Token | None:
        """Find the token that *secret* is, unless it has expired."""
        token = await self._reader.token(hash_of(secret))
        if token is None or (token.expires_at is not None and token.expires_at <= self._clock()):
            return None
        return token

    async def add_user(self, name: str, password: str) -> bool:
        """Add a user, or give one that is there a new password; False says the latter."""
        async with self._hashing:
            encoded = await asyncio.to_thread(_hasher().hash, password)
        user = User(name=name, password_hash=encoded, created_at=self._clock())

        def decide(held: Held) -> Changes[bool]:
            return Changes(save=(user,), result=not held.find(User, "name", name))

        is_new = await self._writer.run(Job(keys=((User, ("name", name)),), decide=decide))
        log.info("user.added" if is_new else "user.changed", user=name)
        return is_new

    async def add_token(self, name: str, expires_at: datetime | None) -> tuple[str, bool]:
        """Add a token, or replace the one of that name (False); give its secret, which is kept nowhere."""
        secret = "rb_" + secrets.token_urlsafe(32)
        token = Token(name=name, token_hash=hash_of(secret), created_at=self._clock(), expires_at=expires_at)

        def decide(held: Held) -> Changes[bool]:
            return Changes(save=(token,), result=not held.find(Token, "name", name))

        is_new = await self._writer.run(Job(keys=((Token, ("name", name)),), decide=decide))
        log.info("token.added" if is_new else "token.replaced", user=name)
        return secret, is_new

    def _remember(self, mark: bytes) -> None:
        while len(self._right_until) >= REMEMBERED:
            del self._right_until[next(iter(self._right_until))]
        self._right_until[mark] = self._clock() + REMEMBERED_FOR


def hash_of(secret: str) -> str:
    """Give the hash under which a token is kept: secrets are random, so a plain SHA-256 is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def _verify(encoded: str, password: str) -> bool:
    try:
        return _hasher().verify(encoded, password)
    except (VerificationError, InvalidHashError):
        return False


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()


@cache
def _nobody() -> str:
    return _hasher().hash(secrets.token_urlsafe())
