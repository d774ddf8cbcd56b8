"""``broker token``: bearer tokens for programs that use the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config, with_json
from broker.cli.output import show, show_json


@click.group()
def command() -> None:
    """Add a token for the API."""


@command.command()
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good for; for ever without.")
@with_json
@with_config
def add(config: Path, as_json: bool, name: str, days: int | None) -> None:
    """Add a token for the program NAME, or replace it; its secret is shown this once."""
    expires_at = (datetime.now(UTC) + timedelta(days=days)).isoformat(timespec="seconds") if days else None
    added = Connection(config).post("/api/v1/tokens", name=name, expires_at=expires_at)
    if as_json:
        show_json(added)
        return
    show((added["token"], "bold"))
    click.echo("It is shown this once. Use it as: Authorization: Bearer TOKEN", err=True)
