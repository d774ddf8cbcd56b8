"""``broker new mapping``: a first mapping for a sender, made of its own messages."""

from __future__ import annotations

import os
import re
import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from broker.cli.options import with_config, with_mappings
from broker.cli.send import split
from broker.config.load import load
from broker.config.mapping_files import read_mapping_files
from broker.hl7.charset import REPLACEMENT, decode
from broker.hl7.message import Message
from broker.hl7.pseudonym import Pseudonyms
from broker.mapping.catalogue import Catalogue, Entry
from broker.mapping.problems import render
from broker.mapping.starter import Evidence, look, propose
from broker.mapping.starterfile import test_of, written
from broker.mapping.suite import RECEIVED_AT

MESSAGES_LIMIT = 5_000
LATIN = "8859/1"


@click.group()
def command() -> None:
    """Make something new: a mapping."""


@command.command()
@click.option(
    "--from",
    "sources",
    required=True,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Messages of the sender, the more the better; may be given several times.",
)
@click.option("--name", help="The mapping's name, as in sites/north; made of MSH-4 and MSH-3 when not given.")
@click.option("--write", is_flag=True, help="Write it into the folder of mappings instead of printing it.")
@with_mappings
@with_config
def mapping(config: Path, folder: Path | None, write: bool, name: str | None, sources: Sequence[Path]) -> None:
    """Propose a mapping for the sender of the messages in FILE: a short child of a shipped one.

    Every rule carries its evidence, what is to be decided stands on top, what no rule reads at the end. The first test
    holds the first message with its patient replaced. Nothing is overwritten.
    """
    configuration = load(config, os.environ).configuration
    root = folder or configuration.mappings
    raws = [raw for source in sources for raw in split(source.read_bytes())][:MESSAGES_LIMIT]
    if not raws:
        raise click.UsageError("no message found: a message begins with MSH")
    files = read_mapping_files(root)
    catalogue, problems = Catalogue.load(files)
    if catalogue is None:
        click.echo(render(problems), err=True)
        raise SystemExit(78)
    charset = "" if all(_is_readable(raw) for raw in raws) else LATIN
    messages = [_parsed(raw, charset) for raw in raws]
    parent, messages = _parent(catalogue, messages)
    zone, now = ZoneInfo(configuration.timezone), datetime.now(UTC)
    evidence = look(parent, messages, zone, now)
    name = name or _name(messages)
    if not re.fullmatch(r"[a-z0-9_.-]+(/[a-z0-9_.-]+)*", name) or ".." in name:
        raise click.UsageError(f"'{name}' is no name: small letters, digits, '-' and '/', as in sites/north")
    text = _file(name, evidence, charset, files, zone)
    if not write:
        click.echo(text, nl=False)
        return
    path = root / f"{name}.yaml"
    if path.exists():
        raise click.UsageError(f"{path} is already there; take another --name")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    click.echo(f"wrote {path}; next: broker check {path}")


def _file(name: str, evidence: Evidence, charset: str, files: dict[str, bytes], zone: ZoneInfo) -> str:
    """Write the file twice: its first test expects what the rules make of the sample."""
    messages = evidence.messages
    title = (
        f"{_constant(messages, 4) or 'Sender'}, {_constant(messages, 3) or 'orders'}: {evidence.parent.mapping.source}"
    )
    condition = " and ".join(filter(None, (_equals(messages, 3), _equals(messages, 4))))
    proposal = propose(evidence, charset)
    disguise = Pseudonyms(key=secrets.token_bytes(16))
    first = messages[0]
    sample = disguise.message("\r".join(one.text for one in first.segments).encode() + b"\r", ["UTF-8"]).decode()
    untested = written(name, title, condition, evidence, proposal, [])
    catalogue, problems = Catalogue.load({**files, f"{name}.yaml": untested.encode()})
    entry = catalogue.entries.get(name) if catalogue else None
    if entry is None:
        click.echo(f"nothing is proposed, these messages make a mapping with problems:\n{render(problems)}", err=True)
        raise SystemExit(78)
    at = datetime.strptime(RECEIVED_AT, "%Y%m%d%H%M%S").replace(tzinfo=zone)
    translation = entry.mapping.translate(Message.parse(sample), zone, at)
    evidence = replace(evidence, read=look(entry, messages, zone, at).read)
    return written(name, title, condition, evidence, proposal, test_of(sample, translation))


def _is_readable(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return bool(Message.parse(raw.decode("latin-1")).header.raw(18))
    return True


def _parsed(raw: bytes, charset: str) -> Message:
    decoded = decode(raw, [charset] if charset else ["UTF-8", "windows-1252"])
    return Message.parse(_printable(decoded.text), decoded.codec)


def _printable(text: str) -> str:
    """Replace what a YAML file cannot hold; line ends stay."""
    return "".join(one if one.isprintable() or one in "\r\n" else REPLACEMENT for one in text)


def _parent(catalogue: Catalogue, messages: list[Message]) -> tuple[Entry, list[Message]]:
    """Find the general mapping for the type that most messages have; give it with those messages."""
    readers = {
        entry.mapping.message_type: entry
        for entry in reversed(list(catalogue.entries.values()))
        if entry.mapping.message_type and not entry.mapping.conditions and not entry.mapping.is_template
    }
    types = Counter(message.type for message in messages)
    for wanted, count in types.most_common():
        if wanted in readers:
            if count < len(messages):
                others = ", ".join(f"{name} ({n})" for name, n in types.items() if name != wanted)
                click.echo(f"left out: {others}", err=True)
            return readers[wanted], [message for message in messages if message.type == wanted]
    raise click.UsageError(f"no mapping reads {', '.join(types)}; there are mappings of {', '.join(readers)}")


def _constant(messages: Sequence[Message], number: int) -> str:
    values = {message.header.value(number, 1, 1) for message in messages}
    return values.pop() if len(values) == 1 else ""


def _equals(messages: Sequence[Message], number: int) -> str:
    values = sorted({message.header.value(number, 1, 1) for message in messages})
    if not all(values) or len(values) > 4 or any('"' in value or REPLACEMENT in value for value in values):
        return ""
    quoted = " or ".join(f'"{value}"' for value in values)
    return f"MSH-{number}.1 = {quoted}"


def _name(messages: Sequence[Message]) -> str:
    parts = [re.sub(r"[^a-z0-9]+", "-", _constant(messages, n).lower()).strip("-") for n in (4, 3)]
    return "sites/" + ("-".join(filter(None, parts)) or "new")
