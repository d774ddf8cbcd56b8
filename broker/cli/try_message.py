"""``broker try``: how a mapping translates one message, rule by rule."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from zoneinfo import ZoneInfo

import click

from broker.cli.mappings import find_entry
from broker.cli.options import with_config, with_json, with_mappings, with_phi
from broker.cli.output import clean, show_json
from broker.cli.send import split
from broker.config.load import load
from broker.hl7.charset import decode
from broker.hl7.message import Message
from broker.mapping.trace import as_trace, render_trace


@click.command(name="try")
@click.argument("mapping")
@click.argument("message", type=click.File("rb"))
@with_mappings
@with_phi
@with_json
@with_config
@click.pass_context
def command(
    context: click.Context,
    config: Path,
    as_json: bool,
    show_phi: bool,
    folder: Path | None,
    message: IO[bytes],
    mapping: str,
) -> None:
    """Show how MAPPING (as in ihe/orm-to-mwl) translates the first message in the file MESSAGE; - is the standard input.

    Nothing is stored or sent. Values are masked without --show-phi. Exit code 1 when an order is refused.
    """
    configuration = load(config, os.environ).configuration
    compiled = find_entry(folder, config, mapping)[0].mapping
    payload = next(split(message.read()), None)
    if payload is None:
        raise click.UsageError("no message found: a message begins with MSH")
    fallback = [compiled.assumed_charset] if compiled.assumed_charset else ["UTF-8", "windows-1252"]
    decoded = decode(payload, fallback)
    parsed = Message.parse(decoded.text, decoded.codec)
    translation = compiled.translate(parsed, ZoneInfo(configuration.timezone), datetime.now(UTC), trace=True)
    if as_json:
        show_json(as_trace(translation, shows_values=show_phi))
    else:
        for line in render_trace(translation, mask=not show_phi):
            click.echo(_coloured(clean(line)))
    if translation.rejections:
        context.exit(1)


def _coloured(line: str) -> str:
    if line.startswith(("REJECTED", "  warning")):
        return click.style(line, fg="red" if line[0] == "R" else "yellow")
    if line.startswith("order "):
        return click.style(line, bold=True)
    return line
