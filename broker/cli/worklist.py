"""``broker worklist``: what a scanner would be given now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config, with_json, with_phi
from broker.cli.output import initial, masked, show_json, show_table


@click.command()
@click.option("--ae", required=True, help="AE title of the scanner.")
@with_phi
@with_json
@with_config
def command(config: Path, as_json: bool, show_phi: bool, ae: str) -> None:
    """Show what the scanner AE would be given now, if it asked for everything."""
    found = Connection(config).get("/api/v1/worklist", ae=ae)
    if as_json:
        show_json(found)
        return
    heads = ("ACCESSION", "STEP", "START", "MODALITY", "STATION", "PROCEDURE", "PATIENT", "NAME")
    show_table(heads, [_row(entry, show_phi) for entry in found["items"]], empty=f"nothing for {ae}")


def _row(entry: dict[str, Any], show_phi: bool) -> list[str | None]:
    item = entry["item"]
    step = (item.get("ScheduledProcedureStepSequence") or [{}])[0]
    stations = step.get("ScheduledStationAETitle") or ""
    number, name = item.get("PatientID"), item.get("PatientName")
    return [
        entry["accession"] or entry["order_id"],
        entry["step_id"],
        _start(step.get("ScheduledProcedureStepStartDate") or "", step.get("ScheduledProcedureStepStartTime") or ""),
        step.get("Modality"),
        stations if isinstance(stations, str) else " ".join(stations),
        item.get("RequestedProcedureDescription") or step.get("ScheduledProcedureStepDescription"),
        number if show_phi else masked(number),
        name if show_phi else initial(name),
    ]


def _start(date: str, time: str) -> str:
    """Show a DICOM date and time as ``2026-04-01 10:15``."""
    day = f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 else date
    return f"{day} {time[:2]}:{time[2:4]}" if len(time) >= 4 else day
