"""Whatever is asked, the answer is JSON or a page, and never a fault of ours."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.observe.metrics import Metrics
from broker.services.accounts import Accounts
from broker.services.inspect import Inspection
from broker.services.mappings import Mappings
from broker.services.messages import Messages
from broker.services.progress import Rules
from broker.services.reconcile import Reconciliation
from broker.services.todo import Todos
from broker.web.app import create
from broker.web.settings import WebSettings
from broker.web.table import CALLS

NOW = datetime(2026, 4, 1, tzinfo=UTC)
RULES = Rules(quiet=None, forward_to=(), zone=UTC)


class Empty:
    """Readers of an empty store."""

    async def search(self, **asked: Any) -> tuple[list[Any], str]:
        return [], ""

    async def get(self, id: str) -> None:
        return None

    async def by_accession(self, accession: str) -> list[Any]:
        return []

    async def listed(self, ae: str) -> list[Any]:
        return []

    async def newest(self, limit: int) -> list[Any]:
        return []

    async def in_state(self, state: str) -> list[Any]:
        return []

    async def run(self, job: Any) -> Any:
        return job.decide(SimpleNamespace(find=lambda *key: ())).result

    def parts(self) -> list[Any]:
        return []


async def put_aside(study_uid: str) -> None:
    """There is no spool."""


def make_app() -> Any:
    empty: Any = Empty()
    names = ("orders", "messages", "deliveries", "alarms", "worklist", "health", "studies", "writer")
    reconciliation = Reconciliation(empty, empty, RULES, put_aside, lambda: NOW, lambda: "1", Metrics())
    inspection = Inspection(
        **dict.fromkeys(names, empty), reconciliation=reconciliation, clock=lambda: NOW, ids=lambda: "1"
    )
    accounts = Accounts(reader=empty, writer=empty, clock=lambda: NOW)
    zone = ZoneInfo("Europe/Madrid")
    mappings = Mappings(
        catalogue=None,
        read=dict,
        stamp=dict,
        unfit=lambda _: (),
        sets=empty,
        messages=empty,
        writer=empty,
        zone=zone,
        clock=lambda: NOW,
        counters=Metrics(),
    )
    settings = WebSettings(auth="none", zone=zone)
    messages = Messages(empty, None, mappings, {})
    return create(
        settings,
        inspection=inspection,
        accounts=accounts,
        mappings=mappings,
        messages=messages,
        todos=Todos(mappings, empty, Metrics()),
        metrics=lambda: b"",
    )


APP = make_app()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PATHS = st.sampled_from([call.template for call in CALLS] + ["/orders/{ref}", "/mappings"])
NAMES = st.sampled_from(sorted({parameter.name for call in CALLS for parameter in call.parameters} | {"x"}))
VALUES = TEXT | st.integers().map(str) | st.datetimes().map(str) | st.dates().map(str)


@settings(max_examples=150, deadline=None)
@given(
    path=PATHS,
    ref=TEXT,
    query=st.lists(st.tuples(NAMES, VALUES), max_size=4),
    method=st.sampled_from(["GET", "POST", "HEAD", "PUT"]),
    body=st.binary(max_size=40),
)
def test_no_request_is_a_fault_of_ours(
    path: str, ref: str, query: list[tuple[str, str]], method: str, body: bytes
) -> None:
    named = path.replace("{ref}", quote(ref, safe="")).replace("{id}", quote(ref, safe=""))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(APP)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            return await http.request(method, named, params=query, content=body)

    answer = asyncio.run(ask())
    assert answer.status_code in {200, 400, 403, 404, 405, 409}
    if answer.is_error and method != "HEAD" and not path.startswith("/orders"):
        assert set(answer.json()) == {"error", "hint"}
