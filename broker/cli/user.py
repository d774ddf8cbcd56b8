"""``broker user``: who may use the console."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config
from broker.cli.output import show


@click.group()
def command() -> None:
    """Add a user of the console."""


@command.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from the standard input, for programs.")
@with_config
def add(config: Path, name: str, password_stdin: bool) -> None:
    """Add the user NAME, or give one a new password."""
    connection = Connection(config)
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif sys.stdin.isatty():
        connection.get("/healthz")  # nobody should think of a password for a broker that does not run
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        raise click.UsageError("there is no terminal to ask for the password; use --password-stdin")
    added = connection.post("/api/v1/users", name=name, password=password)
    show(f"{added['name']}: ", "added" if added["created"] else "new password")
