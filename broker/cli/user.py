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
    password = (
        sys.stdin.readline().rstrip("\r\n")
        if password_stdin
        else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    added = connection.post("/api/v1/users", name=name, password=password)
    show(f"{added['name']}: ", "added" if added["created"] else "new password")
