"""``broker messages``: what came in, every stage of it, and again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from broker.cli.connection import Connection, Refused
from broker.cli.options import with_config, with_json, with_phi
from broker.cli.output import clean, moment, show, show_json, show_table
from broker.errors import BrokerError, without_values
from broker.hl7.pseudonym import Pseudonyms

UNASKED = 20
"""Messages that are replayed without typing their number."""

_FILTERS = (
    click.option("--accession", help="Accession number."),
    click.option("--patient", "patient_id", help="Patient's number."),
    click.option("--number", help="Order number, the placer's or the filler's."),
    click.option("--control-id", help="MSH-10."),
    click.option("--sender", help="Part of MSH-3 or MSH-4."),
    click.option("--state", help="accepted, ignored, refused or parked."),
    click.option("--type", help="Such as ORM^O01."),
    click.option("--from", help="Received then or later: 2026-04-01, 2026-04-01T10:15."),
    click.option("--to", help="Received then or earlier."),
    click.option("--text", help="Part of the message."),
)


def _with_filters(verb: Any) -> Any:
    for option in reversed(_FILTERS):
        verb = option(verb)
    return verb


@click.group()
def command() -> None:
    """Find, show, replay or export the HL7 messages that came in."""


@command.command()
@_with_filters
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", help="Where the page before ended.")
@with_json
@with_config
def search(config: Path, as_json: bool, **wanted: Any) -> None:
    """Find messages, the newest first."""
    page = Connection(config).get("/api/v1/messages", **wanted)
    if as_json:
        show_json(page)
        return
    heads = ("ID", "AT", "SENDER", "TYPE", "CONTROL ID", "STATE", "MAPPING", "ERROR")
    show_table(heads, [_row(message) for message in page["items"]], empty="no messages")
    if page["next"]:
        show((f"more: --cursor {page['next']}", "dim"))


@command.command(name="show")
@click.argument("id")
@with_phi
@with_json
@with_config
def show_(config: Path, as_json: bool, show_phi: bool, id: str) -> None:
    """Show the message ID: as it came, what its mapping made of it, its answer. Values only with --show-phi."""
    masked = None if show_phi else "true"
    message = Connection(config).get(f"/api/v1/messages/{quote(id, safe='')}", mask=masked)
    if not show_phi:
        message = _disguised(message)
    if as_json:
        show_json(message)
        return
    show(
        (message["id"], "bold"),
        f"  {moment(message['received_at'])}  {message['sender']}  {message['type']}  ",
        message["state"],
    )
    for name, text in (("as it came", message["raw"]), ("answer", message["answer"])):
        show((f"{name} ({message['charset']})", "bold"))
        for segment in text.replace("\n", "\r").split("\r"):
            if segment:
                show(f"  {clean(segment)}")
        if name == "as it came":
            _show_trace(message)


def _show_trace(message: dict[str, Any]) -> None:
    show((f"translated by {message['mapping'] or 'no mapping'}", "bold"))
    if message.get("trace"):
        for line in message["trace"]["trace"]:
            show(f"  {line}")
    elif message["mapping"]:
        show("  no trace: that version is not kept any more, or no broker runs")
    for warning in message["warnings"]:
        show(("  warning ", "yellow"), warning)
    if message["error"]:
        show(("  refused ", "red"), message["error"])


def _disguised(message: dict[str, Any]) -> dict[str, Any]:
    """Replace what is personal by pseudonyms that nobody can lead back."""
    pseudonyms = Pseudonyms(key=secrets.token_bytes(16))
    shown = {
        **message,
        "error": without_values(message["error"] or "") or None,
        "warnings": [without_values(warning) for warning in message["warnings"]],
    }
    for name in ("raw", "answer"):
        try:
            shown[name] = pseudonyms.message(message[name].encode(), ["UTF-8"]).decode()
        except BrokerError:
            shown[name] = "(no HL7 message; --show-phi shows it)" if message[name] else ""
    return shown


@command.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_with_filters
@click.option("--dry-run", is_flag=True, help="Only say what would become of each.")
@click.option("--mapping", type=click.Choice(["current", "old"]), default="current", show_default=True)
@click.option("--force", is_flag=True, help="Also those whose order a later message has changed.")
@click.option("--yes", is_flag=True, help="Do not ask, however many there are.")
@with_json
@with_config
@click.pass_context
def replay(
    context: click.Context,
    /,
    config: Path,
    as_json: bool,
    yes: bool,
    force: bool,
    mapping: str,
    dry_run: bool,
    ids: tuple[str, ...],
    **wanted: Any,
) -> None:
    """Send messages through the intake again, the oldest first: those with an ID, or all that the filters find.

    With --dry-run nothing has an effect. More than 20 are tried first and replayed after their number was typed. Exit
    code 1 when one was left alone or refused.
    """
    connection = Connection(config)
    chosen = list(ids) or [message["id"] for message in _found(connection, wanted)]
    if not chosen:
        raise click.UsageError("no message: give an ID, or filters that find one (broker messages search)")
    options = {"mapping": mapping, "force": "true" if force else None}
    is_many = len(chosen) > UNASKED and not yes
    is_shown = not as_json and (dry_run or is_many)
    tried: list[dict[str, Any]] = []
    if dry_run or is_many:
        tried = _replayed(connection, sorted(chosen), {**options, "dry_run": "true"}, is_shown=is_shown)
    if not dry_run:
        if is_many and click.prompt(f"type {len(chosen)} to replay them") != str(len(chosen)):
            raise click.UsageError("not replayed")
        tried = _replayed(connection, sorted(chosen), options, is_shown=not as_json)
    if as_json:
        show_json(tried)
    if any(one["refusal"] or one["outcome"] not in ("accepted", "ignored") for one in tried):
        context.exit(1)


def _found(connection: Connection, wanted: dict[str, Any]) -> Iterator[dict[str, Any]]:
    given = {name: value for name, value in wanted.items() if value is not None}
    cursor: str | None = None
    while given:
        page = connection.get("/api/v1/messages", **given, limit=500, cursor=cursor)
        yield from page["items"]
        cursor = page["next"]
        if not cursor:
            return


def _replayed(
    connection: Connection, ids: Sequence[str], options: dict[str, str | None], *, is_shown: bool
) -> list[dict[str, Any]]:
    given = "&".join(f"{name}={value}" for name, value in options.items() if value)
    results: list[dict[str, Any]] = []
    for id in ids:
        try:
            result = connection.post(f"/api/v1/messages/{quote(id, safe='')}/replay?{given}")
        except Refused as refused:
            result = dict(refused.body)
            result.setdefault("told", result.get("error"))
            result = {"message": id, "refusal": result["told"], "outcome": None, **result}
        results.append(result)
        if is_shown:
            show(f"{id}  ", (result["told"], "red" if result["refusal"] else ""))
    return results


@command.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_with_filters
@click.option(
    "--as-sample",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for the samples: one file a message, patients replaced by pseudonyms.",
)
@with_config
def export(config: Path, folder: Path, ids: tuple[str, ...], **wanted: Any) -> None:
    """Write messages as samples for mappings: the same structure byte for byte, the patient replaced.

    In one export one patient has one pseudonym; the key is thrown away, so nobody can lead it back.
    """
    connection = Connection(config)
    messages = (
        [connection.get(f"/api/v1/messages/{quote(id, safe='')}") for id in ids]
        if ids
        else list(_found(connection, {**wanted, "detail": "full"} if any(wanted.values()) else {}))
    )
    if not messages:
        raise click.UsageError("no message: give an ID, or filters that find one (broker messages search)")
    pseudonyms = Pseudonyms(key=secrets.token_bytes(16))
    folder.mkdir(parents=True, exist_ok=True)
    for message in messages:
        codec = message["charset"] or "utf-8"
        try:
            content = pseudonyms.message(message["raw"].encode(codec, "replace"), [codec])
        except BrokerError as fault:
            show(f"{message['id']}  ", (f"left out: {fault.message}", "red"))
            continue
        path = folder / f"{message['id']}.hl7"
        path.write_bytes(content)
        show(f"{message['id']}  ", (str(path), "green"))


def _row(message: dict[str, Any]) -> list[str | None]:
    return [
        message["id"],
        moment(message["received_at"]),
        message["sender"],
        message["type"],
        message["control_id"],
        message["state"],
        message["mapping"],
        message["error"],
    ]
