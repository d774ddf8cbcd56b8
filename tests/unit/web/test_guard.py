"""Who may ask: logins, tokens, browsers of other sites, other names, the Unix socket."""

from __future__ import annotations

import base64
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

PASSWORD = "correct horse"


async def add_user(client: Any, name: str = "anna", password: str = PASSWORD) -> None:
    async with client("password", is_local=True) as http:
        assert (await http.post("/api/v1/users", json={"name": name, "password": password})).is_success


async def add_token(client: Any, **asked: str) -> str:
    async with client("password", is_local=True) as http:
        return str((await http.post("/api/v1/tokens", json={"name": "grafana", **asked})).json()["token"])


async def test_without_any_user_the_answer_says_how_to_add_one(client: Any) -> None:
    async with client("password") as http:
        answer = await http.get("/api/v1/orders")
    assert answer.status_code == 401
    assert answer.json() == {
        "error": "nobody can log in yet",
        "hint": "on the broker's own machine: broker user add NAME",
    }


async def test_a_stranger_is_asked_to_log_in(client: Any) -> None:
    await add_user(client)
    async with client("password") as http:
        answer = await http.get("/")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Basic realm="radbroker", charset="UTF-8"')


@pytest.mark.parametrize("name", ["anna", "Núria", "山田"])
async def test_a_user_gets_in_with_the_password(client: Any, name: str) -> None:
    await add_user(client, name, "contraseña:larga")
    async with client("password") as http:
        answer = await http.get("/api/v1/orders", auth=(name, "contraseña:larga"))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic " + base64.b64encode(b"anna:wrong horse").decode(),
        "Basic " + base64.b64encode(b"bert:correct horse").decode(),
        "Basic " + base64.b64encode(b"anna").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff\x00").decode(),
        "Basic !!!",
        "Basic",
        "Bearer",
        "Bearer rb_nothing",
        "Negotiate abc",
        "x" * 5000,
    ],
)
async def test_anything_else_is_401(client: Any, authorization: str) -> None:
    await add_user(client)
    async with client("password") as http:
        answer = await http.get("/api/v1/orders", headers={"authorization": authorization})
    assert (answer.status_code, answer.json()["error"]) == (401, "wrong name, password or token")


async def test_a_new_password_shuts_out_the_old_one_at_once(client: Any) -> None:
    await add_user(client)
    async with client("password") as http:
        assert (await http.get("/api/v1/orders", auth=("anna", PASSWORD))).status_code == 200
        await add_user(client, password="another horse")
        answer = await http.get("/api/v1/orders", auth=("anna", PASSWORD))
    assert answer.status_code == 401


async def test_a_token_gets_in(client: Any) -> None:
    token = await add_token(client)
    async with client("password") as http:
        answer = await http.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.text) == (200, "orders_total 1.0\n")


async def test_a_token_ends_when_it_expires(client: Any, hospital: Any, make: Any) -> None:
    token = await add_token(client, expires_at="2026-04-02")
    make.later(hospital, days=1)
    async with client("password") as http:
        answer = await http.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401


async def test_a_replaced_token_no_longer_gets_in(client: Any) -> None:
    old = await add_token(client)
    await add_token(client)
    async with client("password") as http:
        answer = await http.get("/metrics", headers={"authorization": f"Bearer {old}"})
    assert answer.status_code == 401


async def test_of_secrets_only_hashes_are_kept(client: Any, hospital: Any) -> None:
    await add_user(client)
    token = await add_token(client)
    kept = repr((hospital.users, hospital.tokens))
    assert PASSWORD not in kept
    assert token not in kept


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_login(client: Any, path: str) -> None:
    async with client("password") as http:
        answer = await http.get(path)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/orders/A41", "/static/console.css", "/api/openapi.json", "/metrics", "/nothing"]
)
async def test_everything_else_does(client: Any, path: str) -> None:
    async with client("password") as http:
        answer = await http.get(path)
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/users", "/api/v1/tokens"])
async def test_accounts_are_added_by_the_unix_socket_alone(client: Any, path: str) -> None:
    async with client("none") as http:
        answer = await http.post(path, json={"name": "eve", "password": "long enough"})
    assert answer.status_code == 403


async def test_the_unix_socket_needs_no_login(client: Any) -> None:
    async with client("password", is_local=True) as http:
        answer = await http.get("/api/v1/orders")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8080"}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "https://broker.hospital"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8080"}, 403),
    ],
)
async def test_a_browser_may_change_things_for_the_console_alone(
    client: Any, hospital: Any, make: Any, headers: dict[str, str], status: int
) -> None:
    hospital.deliveries["DEAD"] = make.delivery(id="DEAD", state="dead")
    async with client() as http:
        answer = await http.post("/api/v1/deliveries/DEAD/retry", headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("[broken", 403),
    ],
)
async def test_without_login_other_names_of_this_machine_are_refused(client: Any, host: str, status: int) -> None:
    async with client("none") as http:
        answer = await http.get("/api/v1/orders", headers={"host": host})
    assert answer.status_code == status


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz", "/static/refresh.js", "/api/v1/orders?limit=0"])
async def test_every_answer_tells_browsers_to_run_nothing_foreign(client: Any, path: str) -> None:
    async with client() as http:
        answer = await http.get(path)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe-inline" not in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
