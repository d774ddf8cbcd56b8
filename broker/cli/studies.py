"""``broker studies``: what arrived, and what a person decides about it."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from broker.cli.connection import Connection, Refused
from broker.cli.options import with_config, with_json, with_phi
from broker.cli.output import initial, masked, moment, show, show_json, show_table


@click.group()
def command() -> None:
    """List studies; release, reject or link what is held or is of no order."""


@command.command(name="list")
@click.option("--state", help="arriving, available, held, released or rejected.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", help="Where the page before ended.")
@with_phi
@with_json
@with_config
def list_(config: Path, as_json: bool, show_phi: bool, **wanted: Any) -> None:
    """List studies, those with the newest object first, each with what contradicts its order."""
    page = Connection(config).get("/api/v1/studies", **wanted)
    if as_json:
        show_json(page)
        return
    heads = ("STUDY", "STATUS", "VERDICT", "ORDER", "AE", "OBJECTS", "SINCE", "UNTIL", "PATIENT", "NAME", "FINDINGS")
    show_table(heads, [_row(study, show_phi) for study in page["items"]], empty="no studies")
    if page["next"]:
        show((f"more: --cursor {page['next']}", "dim"))


@command.command()
@click.argument("uids", metavar="UID...", nargs=-1, required=True)
@with_json
@with_config
@click.pass_context
def release(context: click.Context, config: Path, as_json: bool, uids: tuple[str, ...]) -> None:
    """Let held studies go to the archives as they are. Exit code 1 when one is refused."""
    _decide(context, Connection(config), "release", uids, as_json)


@command.command()
@click.argument("uids", metavar="UID...", nargs=-1, required=True)
@with_json
@with_config
@click.pass_context
def reject(context: click.Context, config: Path, as_json: bool, uids: tuple[str, ...]) -> None:
    """Keep held studies from the archives for good.

    Their files stay in the spool under rejected/ until a person removes them. Exit code 1 when one is refused.
    """
    _decide(context, Connection(config), "reject", uids, as_json)


@command.command()
@click.argument("uid")
@click.argument("accession")
@with_json
@with_config
@click.pass_context
def link(context: click.Context, config: Path, as_json: bool, uid: str, accession: str) -> None:
    """Say that the study UID is that of the order ACCESSION (or our id).

    It counts as matched from then on, and a held one goes. Exit code 1 when it is refused.
    """
    _decide(context, Connection(config), "link", (uid,), as_json, accession=accession)


def _decide(
    context: click.Context, connection: Connection, wish: str, uids: tuple[str, ...], as_json: bool, **more: str
) -> None:
    """Ask for each; one that is refused is told and stops none of the others."""
    decided: list[dict[str, Any]] = []
    for uid in uids:
        try:
            path = f"/api/v1/studies/{quote(uid, safe='')}/{wish}"
            decided.append(connection.post(path, by=getpass.getuser()[:64], **more))
        except Refused as refused:
            decided.append({"uid": uid, **refused.body})
    if as_json:
        show_json(decided)
    for study in decided if not as_json else ():
        if "status" in study:
            show(f"{study['uid']}  ", study["status"], "  ", study["verdict"])
        else:
            show((study["error"], "red"), f"; {study['hint']}")
    if not all("status" in study for study in decided):
        context.exit(1)


def _row(study: dict[str, Any], show_phi: bool) -> list[str | None]:
    patient = study["patient"]
    return [
        study["uid"],
        study["status"],
        study["verdict"],
        " ".join(order["accession"] or order["id"] for order in study["orders"]),
        study["ae"],
        str(study["instances"]),
        moment(study["held_at"] or study["first_at"]),
        moment(study["release_at"]),
        patient["id"] if show_phi else masked(patient["id"]),
        patient["name"] if show_phi else initial(patient["name"]),
        " ".join(finding["attribute"] for finding in study["findings"] if finding["weight"]),
    ]
