"""``broker diff``: what a change of mappings changes, over messages that really came."""

from __future__ import annotations

import os
import re
import time
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from broker.cli.connection import Connection, Refused
from broker.cli.options import with_config, with_json, with_mappings, with_messages, with_phi
from broker.cli.output import show, show_json, show_table
from broker.cli.send import field, split
from broker.config.load import load
from broker.config.mapping_files import read_mapping_files, read_mapping_files_at
from broker.errors import ConfigurationError, Unreachable, without_values
from broker.mapping.catalogue import Catalogue
from broker.mapping.compare import REASON, Change, Comparison, Sample, compare
from broker.mapping.link import Files
from broker.mapping.problems import render
from broker.mapping.trace import masked
from broker.mapping.types import find_attribute

SHOWN = 20
PAGE = 500
_DIGEST = re.compile(r"[0-9a-f]{4,64}")
_SUFFIXES = (".hl7", ".txt", ".dat", ".msg", ".er7")


@click.command()
@click.argument("mapping", required=False)
@click.option(
    "--against",
    required=True,
    metavar="REVISION|DIGEST|FOLDER",
    help="The version before: a git revision, the digest of a set that was in force or of a mapping in it, a folder.",
)
@with_messages
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
    corpus: Path | None,
    last: int | None,
    against: str,
    mapping: str | None,
) -> None:
    """Compare the mappings as they are now with another version of them, over messages.

    First the messages whose outcome flips, then the attributes that differ, each with one example, masked without
    --show-phi. With MAPPING only what it or a child of it translates. Exit code 1 when something differs.
    """
    if corpus and last:
        raise click.UsageError("--last and --corpus: one of them")
    configuration = load(config, os.environ).configuration
    root = folder or configuration.mappings
    after = loaded(read_mapping_files(root), str(root))
    before = loaded(_version(against, root, config), against)
    if mapping and mapping not in {**before.entries, **after.entries}:
        raise click.UsageError(f"no mapping '{mapping}'; known: {', '.join(after.entries)}")
    samples = from_folder(corpus) if corpus else stored(Connection(config), last or PAGE)
    started = time.perf_counter()
    found = compare(before, after, samples, ZoneInfo(configuration.timezone), mapping or "")
    if as_json:
        show_json(_as_json(found, show_phi))
    else:
        _show(found, show_phi, time.perf_counter() - started)
    if not found.is_same:
        context.exit(1)


def _version(against: str, root: Path, config: Path) -> Files:
    if Path(against).is_dir():
        return read_mapping_files(Path(against))
    digest = against.rpartition("@")[2]
    try:
        return read_mapping_files_at(root, against)
    except ConfigurationError as no_revision:
        if not _DIGEST.fullmatch(digest):
            raise
        try:
            kept = Connection(config).get(f"/api/v1/mappings/sets/{digest}")
        except (Refused, Unreachable) as fault:
            message = f"{no_revision.message}; {fault.message}"
            raise ConfigurationError(message, code="C044", hint="broker mappings list shows the kept sets") from fault
    return {name: b64decode(content) for name, content in kept["files"].items()}


def loaded(files: Files, where: str) -> Catalogue:
    """Load *files*; tell the errors of *where*, and exit with 78 when nothing is left."""
    catalogue, problems = Catalogue.load(files)
    if errors := [problem for problem in problems if problem.is_error]:
        click.echo(f"mappings of {where}:\n{render(errors)}", err=True)
    if catalogue is None:
        raise SystemExit(78)
    return catalogue


def from_folder(corpus: Path) -> Iterator[Sample]:
    """Give the messages in the files of a folder, or in one file."""
    if corpus.is_dir():
        paths = sorted((path for path in corpus.rglob("*") if path.suffix.lower() in _SUFFIXES), key=str)
    else:
        paths = [corpus]
    for path in paths:
        if path.is_file():
            for number, raw in enumerate(split(path.read_bytes()), 1):
                label = f"{path.name}:{number}" if number > 1 else path.name
                yield Sample(label=label, raw=raw, received_at=_sent_at(raw))


def _sent_at(raw: bytes) -> datetime:
    """Take MSH-7 for the time of receipt, so that two runs over one file are the same."""
    sent = field(raw, 7)
    try:
        return datetime.fromisoformat(f"{sent[:8]}T{sent[8:14]}").replace(tzinfo=UTC)
    except ValueError:
        return datetime(2000, 1, 1, tzinfo=UTC)


def stored(connection: Connection, count: int) -> Iterator[Sample]:
    """Give the last *count* messages that the running broker has stored."""
    cursor: str | None = None
    while count > 0:
        page = connection.get("/api/v1/messages", limit=min(count, PAGE), cursor=cursor, detail="full")
        for message in page["items"]:
            at = datetime.fromisoformat(message["received_at"])
            yield Sample(label=message["id"], raw=message["raw"].encode(), received_at=at, charsets=("UTF-8",))
        count -= PAGE
        cursor = page["next"]
        if not cursor:
            return


def _show(found: Comparison, show_phi: bool, seconds: float) -> None:
    if found.flips:
        show((f"{found.flipped} message(s) with another outcome", "bold red"))
        for flip in found.flips[:SHOWN]:
            show((f"  {flip.label}", "bold"))
            show(("    before  ", "dim"), _words(flip.before, show_phi))
            show(("    now     ", "dim"), _words(flip.after, show_phi))
        if found.flipped > SHOWN:
            show((f"  and {found.flipped - SHOWN} more", "dim"))
        show("")
    if found.changes:
        show((f"{found.differing} message(s) with other values", "bold yellow"))
        changes = sorted(found.changes.values(), key=lambda change: -change.count)
        rows = [(c.path, c.kind, str(c.count), *_values(c, show_phi), c.label) for c in changes]
        show_table(("ATTRIBUTE", "CHANGE", "MESSAGES", "BEFORE", "NOW", "FOR EXAMPLE"), rows, empty="")
        show("")
    unread = f", {found.unread} could not be read" if found.unread else ""
    told = f"{found.compared} message(s) compared in {seconds:.1f} s{unread}: "
    verdict = (
        ("no difference", "green") if found.is_same else (f"{found.flipped} flipped, {found.differing} differ", "red")
    )
    show(told, verdict)


def _words(text: str, show_phi: bool) -> str:
    return text if show_phi else without_values(text)


def _values(change: Change, show_phi: bool) -> tuple[str, str]:
    attribute = find_attribute(change.path.rpartition(".")[2])
    vr = attribute.vr if attribute else ""

    def written(value: Any) -> str:
        if value in (None, "", []):
            return "(empty)"
        text = "\\".join(map(str, value)) if isinstance(value, list) else str(value)
        if change.path == REASON:
            return _words(text, show_phi)
        return text if show_phi else masked(change.path, vr, text)

    before = "-" if change.kind == "added" else written(change.before)
    after = "-" if change.kind == "removed" else written(change.after)
    return (before, after) if before != after else (before, f"{after} (another)")


def _as_json(found: Comparison, show_phi: bool) -> dict[str, Any]:
    return {
        "compared": found.compared,
        "unread": found.unread,
        "flipped": found.flipped,
        "differing": found.differing,
        "flips": [
            {"message": flip.label, "before": _words(flip.before, show_phi), "after": _words(flip.after, show_phi)}
            for flip in found.flips
        ],
        "changes": [
            {
                "attribute": change.path,
                "kind": change.kind,
                "messages": change.count,
                "message": change.label,
                **dict(zip(("before", "after"), _values(change, show_phi), strict=True)),
            }
            for change in found.changes.values()
        ],
    }
