"""Reading users and tokens."""

from __future__ import annotations

from sqlalchemy import select

from broker.domain.accounts import Token, User
from broker.store import tables as t
from broker.store.readers import Readers
from broker.store.recordkinds import TOKEN, USER


class AccountReader:
    """What is committed of accounts."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def user(self, name: str) -> User | None:
        """Find the user with that name."""
        query = select(t.users.c.document).where(t.users.c.name == name)
        return next(iter(await self._readers.values(USER, query)), None)

    async def token(self, token_hash: str) -> Token | None:
        """Find the token with that hash."""
        query = select(t.tokens.c.document).where(t.tokens.c.token_hash == token_hash)
        return next(iter(await self._readers.values(TOKEN, query)), None)

    async def has_users(self) -> bool:
        """Say whether anybody may log in yet."""
        return bool(await self._readers.rows(select(t.users.c.name).limit(1)))
