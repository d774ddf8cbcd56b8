"""``broker order``: the life of one order, from its message to its last notice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from broker.cli.connection import Connection, Refused
from broker.cli.options import with_config, with_json, with_phi
from broker.cli.output import initial, masked, moment, show, show_json, show_table

Json = Mapping[str, Any]
Part = str | tuple[str, str]


@click.command()
@click.argument("ref")
@with_phi
@with_json
@with_config
@click.pass_context
def command(context: click.Context, config: Path, as_json: bool, show_phi: bool, ref: str) -> None:
    """Show the life of the order REF: an accession number, or our id."""
    try:
        order = Connection(config).get(f"/api/v1/orders/{quote(ref, safe='')}")
    except Refused as refused:
        if "candidates" not in refused.body:
            raise
        if as_json:
            show_json(refused.body)
        else:
            _show_candidates(refused)
        context.exit(1)
    if as_json:
        show_json(order)
        return
    _show_head(order, show_phi)
    _show_steps(order)
    _show_timeline(order)


def _show_candidates(refused: Refused) -> None:
    show((f"{refused.message}; {refused.hint}", "yellow"))
    heads = ("ID", "ACCESSION", "ISSUER", "FACILITY", "PLACER", "FILLER", "STATUS")
    keys = ("id", "accession", "accession_issuer", "facility", "placer_number", "filler_number", "status")
    show_table(heads, [[found[key] for key in keys] for found in refused.body["candidates"]], empty="")


def _show_head(order: Json, show_phi: bool) -> None:
    patient = order["patient"]
    number = patient["id"] if show_phi else masked(patient["id"])
    name = patient["name"] if show_phi else initial(patient["name"])
    what = "; ".join(dict.fromkeys(p["description"] or p["code"] or "" for p in order["procedures"]))
    show((order["accession"] or order["id"], "bold"), "  ", what, "  ", order["status"], f"    patient {number} {name}")


def _show_steps(order: Json) -> None:
    rows = [
        [f"  {step['id'] or '-'}", step["status"], moment(step["start"]), step["modality"], " ".join(step["stations"])]
        for step in order["steps"]
    ]
    show_table(("  STEP", "STATUS", "START", "MODALITY", "STATION"), rows, empty="  no steps")
    for study in order["studies"]:
        size = f"  {study['series']} series, {study['instances']} objects  "
        verdict = study["verdict"] or ""
        show("  study ", study["status"], size, verdict, (f"  {study['uid']}", "dim"))
        for finding in study["findings"]:
            show(f"    {finding['attribute']}: differs from the order", *(_weight(finding)))


def _weight(finding: Json) -> Iterator[tuple[str, str]]:
    if finding["weight"]:
        yield f" (weight {finding['weight']})", "red"


def _show_timeline(order: Json) -> None:
    day = ""
    for at, line in sorted(_lines(order), key=lambda entry: entry[0]):
        if f"{at:%Y-%m-%d}" != day:
            day = f"{at:%Y-%m-%d}"
            show((day, "bold"))
        show((f"{at:%H:%M:%S}.{at.microsecond // 1000:03}  ", "dim"), *line)


def _lines(order: Json) -> Iterator[tuple[datetime, Sequence[Part]]]:
    """Give the events and the notices, each with its moment."""
    for entry in order["timeline"]:
        refs = "".join(f"  [{kind} {value}]" for kind, value in entry["ref"].items())
        mark = ("! ", "bold red") if entry.get("alarm") else "  "
        event = (f"{entry['event']:<24}", "cyan")
        yield datetime.fromisoformat(entry["at"]), [mark, event, entry["text"], (refs, "dim")]
    for delivery in order["deliveries"]:
        times = f"  attempt {delivery['attempts']}" if delivery["attempts"] else ""
        why = (f"  {delivery['error']}" if delivery.get("error") else "", "red")
        says = f"{delivery['destination']}  {delivery['event'] or 'object'}  "
        notice = (f"{'notice':<24}", "cyan")
        yield datetime.fromisoformat(delivery["at"]), ["  ", notice, says, delivery["state"], times, why]
