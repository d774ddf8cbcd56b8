"""The console on its sockets, with the real store on SQLite."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from broker import wiring
from broker.config.model import Configuration
from broker.domain.events import Event
from broker.domain.order import Number, Order, Patient, Procedure, Step
from broker.domain.records import Delivery, StoredMessage
from broker.errors import ConfigurationError
from broker.observe.metrics import Metrics
from broker.ports import Changes, Job
from broker.services.accounts import Accounts
from broker.services.inspect import Inspection, Part
from broker.services.messages import Messages
from broker.services.progress import Rules
from broker.services.reconcile import Reconciliation
from broker.services.todo import Todos
from broker.services.worklist import Worklist
from broker.store.store import Store
from broker.web import server as sockets
from broker.web.app import create
from broker.web.server import WebServer
from broker.web.settings import Auth, WebSettings

pytestmark = pytest.mark.anyio

MADRID = ZoneInfo("Europe/Madrid")
NOW = datetime(2026, 4, 1, 8, 30, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Running:
    """A console that runs, and how to reach it."""

    server: WebServer
    store: Store
    socket: Path

    def by_tcp(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.server.port}", trust_env=False)

    def by_socket(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        return httpx.AsyncClient(base_url="http://broker", transport=transport)


class Well:
    """Everything is well."""

    def parts(self) -> list[Part]:
        return [Part(name="his", kind="listener", is_up=True), Part(name="ris", kind="destination", is_up=True)]


RULES = Rules(quiet=None, forward_to=("PACS",), zone=MADRID)


async def put_aside(study_uid: str) -> None:
    """There is no spool."""


@asynccontextmanager
async def running(folder: Path, database_url: str, auth: Auth = "none") -> AsyncIterator[Running]:
    numbers = count(1)

    def ids() -> str:
        return f"{next(numbers):026d}"

    died: list[BaseException] = []
    store = await Store.open(database_url, fan_out=lambda event: (), on_death=died.append)
    inspection = Inspection(
        orders=store.orders,
        messages=store.messages,
        deliveries=store.deliveries,
        alarms=store.events,
        worklist=Worklist(store.worklist, {}, {}, lambda: NOW, Metrics()),
        health=Well(),
        studies=store.studies,
        reconciliation=Reconciliation(store, store.studies, RULES, put_aside, lambda: NOW, ids, Metrics()),
        writer=store,
        clock=lambda: NOW,
        ids=ids,
    )
    accounts = Accounts(reader=store.accounts, writer=store, clock=lambda: NOW)
    settings = WebSettings(port=0, auth=auth, zone=MADRID, socket=folder / "broker.sock")
    mappings = wiring.mappings(
        Configuration.model_construct(mappings=folder, timezone="UTC", destinations={}), None, store, Metrics()
    )
    app = create(
        settings,
        inspection=inspection,
        accounts=accounts,
        mappings=mappings,
        messages=Messages(store.messages, None, mappings, {}),
        todos=Todos(mappings, store.messages, Metrics()),
        metrics=lambda: b"",
    )
    server = WebServer(app, settings)
    server.open()
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(30):
            yield Running(server, store, folder / "broker.sock")
    finally:
        server.stop(1)
        await asyncio.wait_for(serving, 10)
        await store.close()
        assert not died


async def keep(store: Store, *rows: object, events: tuple[Event, ...] = ()) -> None:
    await store.run(Job(keys=(), decide=lambda held: Changes(save=rows, events=events, result=None)))


def an_order(accession: str = "A/1", id: str = "01JD0000000000000000000001") -> tuple[Patient, Order]:
    patient = Patient(ref="P1", patient_id="77041", attributes={"PatientName": "Ibáñez^Núria"})
    order = Order(
        id=id,
        facility="GENERAL",
        patient_ref="P1",
        accession=accession,
        filler=Number(number=f"F{id}"),
        procedures=(Procedure(procedure_id="RP1", study_uid="1.2.1"),),
        steps=(Step(step_id="SP1", procedure_id="RP1", modality="CT", stations=("CT1",), start="20260401101500"),),
        created_at=NOW,
        updated_at=NOW,
    )
    return patient, order


async def test_an_order_of_the_store_is_listed_shown_and_explained(tmp_path: Path, database_url: str) -> None:
    event = Event(id="E1", type="order.scheduled", at=NOW, text="scheduled", order_id="01JD0000000000000000000001")
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        await keep(web.store, *an_order(), events=(event,))
        listed = (await http.get("/api/v1/orders?accession=A/1&from=2026-04-01&to=2026-04-01")).json()
        shown = (await http.get("/api/v1/orders/A%2F1")).json()
        worklist = (await http.get("/api/v1/worklist?ae=CT1")).json()
        seen = (await http.get("/api/v1/worklist/why?ae=CT1&accession=A/1")).json()
        unseen = (await http.get("/api/v1/worklist/why?ae=CT2&accession=A/1")).json()
    assert [order["accession"] for order in listed["items"]] == ["A/1"]
    assert [entry["text"] for entry in shown["timeline"]] == ["scheduled"]
    assert [one["item"]["PatientName"] for one in worklist["items"]] == ["Ibáñez^Núria"]
    assert (seen["visible"], unseen["visible"]) == (True, False)
    assert unseen["reasons"] == ["it is assigned to CT1; asked for was CT2"]


async def test_pages_of_a_list_join_without_gap(tmp_path: Path, database_url: str) -> None:
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        for number in range(5):
            await keep(web.store, *an_order(f"A{number}", f"01JD{number:022d}"))
        found, cursor = [], ""
        while cursor is not None:
            page = (await http.get("/api/v1/orders", params={"limit": 2, "cursor": cursor})).json()
            found += [order["accession"] for order in page["items"]]
            cursor = page["next"]
    assert found == ["A4", "A3", "A2", "A1", "A0"]


async def test_the_console_shows_todays_orders_from_the_store(tmp_path: Path, database_url: str) -> None:
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        await keep(web.store, *an_order())
        overview = await http.get("/")
        order = await http.get("/orders/01JD0000000000000000000001")
    assert "A/1" in overview.text
    assert "Núria" not in overview.text + order.text


async def test_a_dead_delivery_is_sent_again_and_its_order_tells(tmp_path: Path, database_url: str) -> None:
    dead = Delivery(
        id="D1",
        destination="ris",
        event_type="study.available",
        order_id="01JD0000000000000000000001",
        lane="order 1",
        control_id="C1",
        state="dead",
        refusals=3,
        not_before=NOW,
        created_at=NOW,
        updated_at=NOW,
    )
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        await keep(web.store, *an_order(), dead)
        answer = await http.post("/api/v1/deliveries/D1/retry")
        listed = (await http.get("/api/v1/deliveries?state=available&destination=ris")).json()
        order = (await http.get("/api/v1/orders/A%2F1")).json()
    assert answer.json()["state"] == "available"
    assert [delivery["id"] for delivery in listed["items"]] == ["D1"]
    assert [entry["text"] for entry in order["timeline"]] == ["study.available for ris sent again by hand"]


async def test_a_message_of_the_store_is_shown(tmp_path: Path, database_url: str) -> None:
    message = StoredMessage(
        id="M1",
        key="",
        listener="his",
        sender="HIS",
        control_id="1",
        type="ORM^O01",
        received_at=NOW,
        raw=b"MSH|",
        charset="utf-8",
        state="refused",
        answer=b"MSH|",
    )
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        await keep(web.store, message)
        listed = (await http.get("/api/v1/messages?state=refused&type=ORM%5EO01")).json()
        shown = (await http.get("/api/v1/messages/M1")).json()
    assert [one["id"] for one in listed["items"]] == ["M1"]
    assert shown["raw"] == "MSH|"


async def test_a_user_added_by_the_unix_socket_gets_in_by_tcp(tmp_path: Path, database_url: str) -> None:
    async with running(tmp_path, database_url, "password") as web, web.by_tcp() as tcp, web.by_socket() as local:
        assert (await tcp.get("/api/v1/orders", auth=("anna", "long enough"))).status_code == 401
        added = await local.post("/api/v1/users", json={"name": "anna", "password": "long enough"})
        token = (await local.post("/api/v1/tokens", json={"name": "grafana"})).json()["token"]
        by_password = await tcp.get("/api/v1/orders", auth=("anna", "long enough"))
        by_token = await tcp.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert added.json() == {"name": "anna", "created": True}
    assert (by_password.status_code, by_token.status_code) == (200, 200)


async def test_the_unix_socket_is_its_owners_alone_and_goes_with_the_broker(tmp_path: Path, database_url: str) -> None:
    async with running(tmp_path, database_url) as web:
        mode = stat.S_IMODE(web.socket.stat().st_mode)
    assert mode == 0o600
    assert not web.socket.exists()


async def test_what_a_killed_broker_left_is_replaced(tmp_path: Path, database_url: str) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "broker.sock"))
    left.close()
    async with running(tmp_path, database_url) as web, web.by_socket() as http:
        assert (await http.get("/readyz")).status_code == 200


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "broker.sock").write_text("precious")
    settings = WebSettings(port=0, zone=MADRID, socket=tmp_path / "broker.sock")
    with pytest.raises(ConfigurationError, match=r"broker\.sock"):
        WebServer(no_app, settings).open()
    assert (tmp_path / "broker.sock").read_text() == "precious"


async def test_a_path_too_long_for_a_socket_does_not_keep_the_broker_from_running(tmp_path, database_url: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    async with running(folder, database_url) as web, web.by_tcp() as http:
        assert (await http.get("/healthz")).status_code == 200
    assert not web.socket.exists()


async def no_app(scope: object, receive: object, send: object) -> None: ...


async def test_a_busy_port_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1:{port}"):
            WebServer(no_app, WebSettings(port=port, zone=MADRID)).open()


async def test_signals_are_left_to_the_broker(tmp_path: Path, database_url: str) -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        await http.get("/healthz")
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n"])
async def test_a_client_that_never_finishes_asking_is_let_go(
    tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(sockets, "HEAD_SECONDS", 0.2)
    async with running(tmp_path, database_url) as web:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.server.port)
        writer.write(said)
        assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("said", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", os.urandom(200) + b"\r\n\r\n"])
async def test_what_is_not_http_is_refused_and_the_next_is_served(
    tmp_path: Path, database_url: str, said: bytes
) -> None:
    async with running(tmp_path, database_url) as web, web.by_tcp() as http:
        reader, writer = await asyncio.open_connection("127.0.0.1", web.server.port)
        writer.write(said)
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        assert (await http.get("/healthz")).status_code == 200
