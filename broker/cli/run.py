"""``broker run``: the broker in the foreground, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from broker.app import WriterDied, run
from broker.config.load import Unfit, load
from broker.config.resources import require_resources
from broker.observe.logging import configure

WRITER_DIED = 70


@click.command(name="run")
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    default=Path("config/broker.yaml"),
    show_default=True,
    help="The configuration, YAML or JSON.",
)
def command(file: Path) -> None:
    """Start the broker.

    Every problem of the configuration is told at once, with its place, before anything is started (exit code 78).
    SIGTERM stops accepting, finishes what is in flight and ends with 0.
    """
    loaded = load(file, os.environ)
    os.umask(0o077)  # database and spool hold patients: for the broker's user alone
    require_resources(loaded)
    configure()
    try:
        run(loaded.configuration)
    except Unfit as unfit:
        raise loaded.invalid(unfit.complaints) from None
    except WriterDied as death:
        click.echo(str(death), err=True)
        sys.exit(WRITER_DIED)
