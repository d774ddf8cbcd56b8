"""``broker why``: whether a scanner sees an order, and if not, why."""

from __future__ import annotations

from pathlib import Path

import click

from broker.cli.connection import Connection
from broker.cli.options import with_config, with_json
from broker.cli.output import show, show_json


@click.command()
@click.option("--ae", required=True, help="AE title of the scanner.")
@click.option("--accession", required=True, help="Accession number, or our id of the order.")
@with_json
@with_config
def command(config: Path, as_json: bool, ae: str, accession: str) -> None:
    """Say whether the scanner AE sees an order on its worklist, and if not, each reason."""
    found = Connection(config).get("/api/v1/worklist/why", ae=ae, accession=accession)
    if as_json:
        show_json(found)
        return
    answer = ("yes", "bold green") if found["visible"] else ("no", "bold red")
    show(answer, f"  {ae} {'sees' if found['visible'] else 'does not see'} {accession}")
    for reason in found["reasons"]:
        show(f"  - {reason}")
    for step in found["steps"] if len(found["steps"]) > 1 else ():
        show(f"  step {step['step_id'] or '-'}  ", step["status"], "  visible" if step["visible"] else "")
        for reason in step["reasons"]:
            show(f"    - {reason}")
