"""``broker orders``: list orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config, with_json, with_phi
from broker.cli.output import initial, masked, moment, show, show_json, show_table

HEADS = ("ACCESSION", "STATUS", "START", "MODALITY", "STATION", "PROCEDURE", "PATIENT", "NAME")


@click.command()
@click.option("--accession", help="Accession number.")
@click.option("--patient-id", help="Number of the patient.")
@click.option("--status", help="scheduled, on_hold, in_progress, completed, discontinued or cancelled.")
@click.option("--modality", help="Modality of a step, as in CT.")
@click.option("--from", "earliest", metavar="DATE", help="Earliest start, as in 2026-04-01 or 2026-04-01T08:00.")
@click.option("--to", "latest", metavar="DATE", help="Latest start; a date alone is included.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="How many at most.")
@click.option("--cursor", help="Where the page before ended.")
@with_phi
@with_json
@with_config
def command(
    config: Path, as_json: bool, show_phi: bool, earliest: str | None, latest: str | None, **wanted: Any
) -> None:
    """List orders, the newest first."""
    page = Connection(config).get("/api/v1/orders", **{"from": earliest, "to": latest}, **wanted)
    if as_json:
        show_json(page)
        return
    show_table(HEADS, [row(order, show_phi) for order in page["items"]], empty="no orders")
    if page["next"]:
        show((f"more: --cursor {page['next']}", "dim"))


def row(order: dict[str, Any], show_phi: bool) -> list[str | None]:
    """Lay out one order; the step that starts first stands for all."""
    steps = sorted(order["steps"], key=lambda step: step["start"] or "9")
    step = steps[0] if steps else {}
    procedures = "; ".join(dict.fromkeys(p["description"] or p["code"] or "" for p in order["procedures"]))
    patient = order["patient"]
    return [
        order["accession"] or order["id"],
        order["status"],
        moment(step.get("start")),
        step.get("modality"),
        " ".join(step.get("stations", ())),
        procedures,
        patient["id"] if show_phi else masked(patient["id"]),
        patient["name"] if show_phi else initial(patient["name"]),
    ]
