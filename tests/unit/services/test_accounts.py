"""Passwords and tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from broker.domain.accounts import Token, User
from broker.ports import Job
from broker.services import accounts as module
from broker.services.accounts import REMEMBERED, REMEMBERED_FOR, Accounts

T = TypeVar("T")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Book:
    """Users and tokens in memory, and a clock."""

    users: dict[str, User] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    now: datetime = datetime(2026, 4, 1, tzinfo=UTC)

    async def run(self, job: Job[T]) -> T:
        changes = job.decide(self)
        for row in changes.save:
            (self.users if isinstance(row, User) else self.tokens)[row.name] = row
        return changes.result

    def find(self, kind: type[T], *key: str) -> tuple[Any, ...]:
        row = (self.users if kind is User else self.tokens).get(key[1])
        return (row,) if row else ()

    async def user(self, name: str) -> User | None:
        return self.users.get(name)

    async def token(self, token_hash: str) -> Token | None:
        return next((token for token in self.tokens.values() if token.token_hash == token_hash), None)

    async def has_users(self) -> bool:
        return bool(self.users)


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def accounts(book: Book) -> Accounts:
    return Accounts(reader=book, writer=book, clock=lambda: book.now)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the passwords that argon2 was asked about."""
    asked: list[str] = []
    verify = module._verify

    def note(encoded: str, password: str) -> bool:
        asked.append(password)
        return verify(encoded, password)

    monkeypatch.setattr(module, "_verify", note)
    return asked


async def test_a_right_password_is_hashed_once_a_minute(accounts: Accounts, book: Book, verified: list[str]) -> None:
    await accounts.add_user("anna", "correct horse")
    for _ in range(3):
        assert await accounts.is_password("anna", "correct horse")
    assert len(verified) == 1
    book.now += REMEMBERED_FOR
    assert await accounts.is_password("anna", "correct horse")
    assert len(verified) == 2


async def test_a_wrong_password_is_never_remembered(accounts: Accounts, verified: list[str]) -> None:
    await accounts.add_user("anna", "correct horse")
    for _ in range(2):
        assert not await accounts.is_password("anna", "wrong horse")
    assert len(verified) == 2


async def test_an_unknown_user_costs_as_much_as_a_wrong_password(accounts: Accounts, verified: list[str]) -> None:
    assert not await accounts.is_password("nobody", "correct horse")
    assert len(verified) == 1


async def test_the_memory_of_right_passwords_is_bounded(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    await accounts.add_user("anna", "correct horse")
    monkeypatch.setattr(module, "_verify", lambda encoded, password: True)
    for number in range(REMEMBERED + 10):
        await accounts.is_password("anna", str(number))
    assert len(accounts._right_until) == REMEMBERED


async def test_a_kept_hash_that_is_broken_lets_nobody_in(accounts: Accounts, book: Book) -> None:
    book.users["anna"] = User(name="anna", password_hash="broken", created_at=book.now)
    assert not await accounts.is_password("anna", "")


@pytest.mark.parametrize("secret", ["", "\ud800", "rb_", "x" * 10_000])
async def test_a_token_that_is_none_finds_none(accounts: Accounts, secret: str) -> None:
    await accounts.add_token("grafana", None)
    assert await accounts.find_token(secret) is None


async def test_a_token_is_found_until_it_expires(accounts: Accounts, book: Book) -> None:
    secret, _ = await accounts.add_token("grafana", book.now + timedelta(days=1))
    assert await accounts.find_token(secret) is not None
    book.now += timedelta(days=1)
    assert await accounts.find_token(secret) is None
