"""``broker deliveries``: the outbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config, with_json
from broker.cli.output import moment, show, show_json, show_table


@click.group()
def command() -> None:
    """List, retry or cancel notices on their way out."""


@command.command(name="list")
@click.option("--state", help="available, executing, retryable, delivered, cancelled or dead.")
@click.option("--destination", help="Name of the destination.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", help="Where the page before ended.")
@with_json
@with_config
def list_(config: Path, as_json: bool, **wanted: Any) -> None:
    """List deliveries, the newest first."""
    page = Connection(config).get("/api/v1/deliveries", **wanted)
    if as_json:
        show_json(page)
        return
    heads = ("ID", "DESTINATION", "EVENT", "STATE", "ATTEMPTS", "AT", "ERROR")
    show_table(heads, [_row(delivery) for delivery in page["items"]], empty="no deliveries")
    if page["next"]:
        show((f"more: --cursor {page['next']}", "dim"))


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_json
@with_config
def retry(config: Path, as_json: bool, ids: tuple[str, ...]) -> None:
    """Send deliveries again that wait after a fault, are dead or were cancelled."""
    _settle(Connection(config), "retry", ids, as_json)


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_json
@with_config
def cancel(config: Path, as_json: bool, ids: tuple[str, ...]) -> None:
    """Cancel deliveries that have not ended."""
    _settle(Connection(config), "cancel", ids, as_json)


def _settle(connection: Connection, wish: str, ids: tuple[str, ...], as_json: bool) -> None:
    settled = [connection.post(f"/api/v1/deliveries/{quote(id, safe='')}/{wish}") for id in ids]
    if as_json:
        show_json(settled)
        return
    for delivery in settled:
        show(f"{delivery['id']}  {delivery['destination']}  ", delivery["state"])


def _row(delivery: dict[str, Any]) -> list[str | None]:
    return [
        delivery["id"],
        delivery["destination"],
        delivery["event"] or ("object" if delivery["sop_uid"] else None),
        delivery["state"],
        str(delivery["attempts"]),
        moment(delivery["at"]),
        delivery["error"],
    ]
