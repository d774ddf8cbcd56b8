"""``broker mappings``: what is in force, loading the folder now, going back, and what is left to do."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from broker.cli.connection import Connection, Refused
from broker.cli.diff import PAGE, from_folder, loaded, stored
from broker.cli.options import with_config, with_json, with_mappings, with_messages, with_phi
from broker.cli.output import moment, show, show_json, show_table
from broker.config.load import load
from broker.config.mapping_files import read_mapping_files
from broker.errors import without_values
from broker.mapping.todo import Todo, todo


@click.group()
def command() -> None:
    """List the mappings in force, load the folder now, go back to a set that was in force, see what is left to do."""


@command.command(name="list")
@with_json
@with_config
def list_(config: Path, as_json: bool) -> None:
    """Show the mappings and the last 20 sets that were in force.

    A template takes no message itself; a mapping that tells others is unused unless a destination names it.
    """
    found = Connection(config).get("/api/v1/mappings")
    if as_json:
        show_json(found)
        return
    rows = [
        (one["name"], one["from"], one["to"], _use(one), one["digest"], str(one["tests"]), one["title"])
        for one in found["mappings"]
    ]
    if rows:
        show_table(("MAPPING", "READS", "MAKES", "USE", "DIGEST", "TESTS", "TITLE"), rows, empty="")
        show("")
    sets = [
        (
            one["digest"],
            moment(one["loaded_at"]),
            str(one["mappings"]),
            one["reason"],
            "in force" if one["in_force"] else "",
        )
        for one in found["sets"]
    ]
    show_table(("SET", "LOADED", "MAPPINGS", "WHY", ""), sets, empty="no set was ever in force")
    if found["problem"]:
        show("")
        show((found["problem"], "red"))


def _use(mapping: dict[str, Any]) -> str:
    """Say whether it is in force, and for which destinations."""
    return ": ".join(filter(None, (mapping["use"].replace("_", " "), ", ".join(mapping["destinations"]))))


@command.command()
@click.option("--force", is_flag=True, help="Also when messages that came lately would be refused now.")
@with_json
@with_config
@click.pass_context
def reload(context: click.Context, config: Path, as_json: bool, force: bool) -> None:
    """Check the folder, run its tests, try it over the last 200 messages, and put it in force.

    What fails keeps the old set; exit code 78 then.
    """
    try:
        attempt = Connection(config).post("/api/v1/mappings/reload", force="true" if force else None)
    except Refused as refused:
        if "why_not" not in refused.body:
            raise
        attempt = dict(refused.body)
    if as_json:
        show_json(attempt)
    else:
        _told(attempt)
    if attempt["why_not"]:
        context.exit(78)


@command.command()
@click.argument("digest", required=False)
@with_json
@with_config
def rollback(config: Path, as_json: bool, digest: str | None) -> None:
    """Go back to the set DIGEST, else to the one before; it stays in force until the folder changes."""
    attempt = Connection(config).post("/api/v1/mappings/rollback", digest=digest)
    if as_json:
        show_json(attempt)
        return
    show((f"the set {attempt['digest']} is in force again", "green"))
    show("until the folder changes, or: broker mappings reload")


def _told(attempt: dict[str, Any]) -> None:
    if attempt["loaded"]:
        show((f"the set {attempt['digest']} is in force", "green"))
    elif not attempt["why_not"]:
        show("nothing has changed")
    else:
        show(("not loaded, the old set stays in force", "red"))
    for problem in attempt["problems"]:
        style = "red" if problem["severity"] == "error" else "yellow"
        hint = f" ({problem['hint']})" if problem["hint"] else ""
        place = f"{problem['path']}:{problem['line']}:{problem['column']}"
        show(f"  {place}: ", (f"{problem['severity']}[{problem['code']}]", style), f" {problem['message']}{hint}")
    for failure in attempt["failures"]:
        show(("  test failed: ", "red"), failure)
    for flip in attempt["flips"]:
        show(("  would be refused: ", "red"), flip)
    if attempt["flips"]:
        show("  look at them with broker diff; to load all the same: broker mappings reload --force")


@command.command(name="todo")
@with_messages
@with_mappings
@with_phi
@with_json
@with_config
def todo_(
    config: Path, as_json: bool, show_phi: bool, folder: Path | None, corpus: Path | None, last: int | None
) -> None:
    """List the codes that no table knows and the values that no attribute can hold, the most frequent first.

    The folder's mappings run over the messages: what has been mended is no longer there. Codes are shown, other values
    only with --show-phi.
    """
    if corpus and last:
        raise click.UsageError("--last and --corpus: one of them")
    configuration = load(config, os.environ).configuration
    root = folder or configuration.mappings
    catalogue = loaded(read_mapping_files(root), str(root))
    samples = from_folder(corpus) if corpus else stored(Connection(config), last or PAGE)
    found = [_masked(one, show_phi) for one in todo(catalogue, samples, ZoneInfo(configuration.timezone))]
    if as_json:
        show_json([asdict(one) for one in found])
        return
    rows = [(str(one.count), one.target.rpartition(".")[2], one.text, one.rule, one.example) for one in found]
    show_table(("MESSAGES", "ATTRIBUTE", "WHAT", "RULE", "FOR EXAMPLE"), rows, empty="nothing to do")


def _masked(one: Todo, show_phi: bool) -> Todo:
    return one if show_phi or one.kind == "unknown" else replace(one, text=without_values(one.text))
