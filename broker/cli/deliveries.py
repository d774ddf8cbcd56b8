"""``broker deliveries``: the outbox."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from broker.cli.connection import Connection, Refused
from broker.cli.options import with_config, with_json
from broker.cli.output import moment, show, show_json, show_table


@click.group()
def command() -> None:
    """List, retry or cancel what is on its way out: notices, and objects for an archive."""


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
@click.pass_context
def retry(context: click.Context, config: Path, as_json: bool, ids: tuple[str, ...]) -> None:
    """Send deliveries again.

    Those that wait after a fault, are dead or were cancelled. Exit code 1 when one is refused.
    """
    _settle(context, Connection(config), "retry", ids, as_json)


@command.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@with_json
@with_config
@click.pass_context
def cancel(context: click.Context, config: Path, as_json: bool, ids: tuple[str, ...]) -> None:
    """Cancel notices that have not ended.

    Objects are never cancelled: they wait until the archive has them. Exit code 1 when one is refused.
    """
    _settle(context, Connection(config), "cancel", ids, as_json)


def _settle(context: click.Context, connection: Connection, wish: str, ids: tuple[str, ...], as_json: bool) -> None:
    """Ask for each; one that is refused is told and stops none of the others."""
    settled: list[dict[str, Any]] = []
    for id in ids:
        try:
            settled.append(connection.post(f"/api/v1/deliveries/{quote(id, safe='')}/{wish}"))
        except Refused as refused:
            settled.append({"id": id, **refused.body})
    if as_json:
        show_json(settled)
    for delivery in settled if not as_json else ():
        if "error" in delivery and "state" not in delivery:
            show((delivery["error"], "red"), f"; {delivery['hint']}")
        else:
            show(f"{delivery['id']}  {delivery['destination']}  ", delivery["state"])
    if not all("state" in delivery for delivery in settled):
        context.exit(1)


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
