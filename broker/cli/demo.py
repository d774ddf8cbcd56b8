"""``broker demo``: the broker with a simulated hospital around it."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from broker.errors import BrokerError
from broker.observe.logging import configure
from broker.sim.hospital import Hospital, Pace

RATE_HELP = "Orders a minute in the first ten minutes, then a sixth of it."
PORTS = {"hl7": 2575, "dicom": 11112, "web": 8080}
TRIED = 200
ATTEMPTS = 20
LOCALTIME = Path("/etc/localtime")


@click.command(name="demo")
@click.option("--rate", type=click.FloatRange(1, 6000), default=60.0, show_default=True, help=RATE_HELP)
@click.option("--orders", type=click.IntRange(1), help="End after so many orders.")
@click.option("--verbose", is_flag=True, help="Show the broker's log lines on stderr.")
def command(rate: float, orders: int | None, verbose: bool) -> None:
    """Run the broker with a simulated hospital: a HIS, a CT, an MR, an US without MPPS, an archive, a RIS.

    For each order that ends one line is printed: order ACCESSION completed, discontinued or cancelled. Ports that
    are busy are replaced by the next free ones. What it writes goes with it. Ctrl-C ends it with a table of what was
    seen; exit code 1 when something in it went wrong.
    """
    configure(level="INFO" if verbose else "WARNING")
    pace = Pace(orders_a_minute=rate, orders=orders)
    for _ in range(ATTEMPTS):
        ports = _choose_ports()
        try:
            with tempfile.TemporaryDirectory(prefix="radbroker-demo-") as folder:
                faults = asyncio.run(_until_interrupted(Path(folder), ports, pace))
            sys.exit(1 if faults else 0)
        except BrokerError as fault:
            if not (isinstance(fault.__cause__, OSError) and fault.__cause__.errno == errno.EADDRINUSE):
                raise
            click.echo("somebody else has just taken one of the ports")
    raise click.ClickException("no free ports")


def _choose_ports() -> dict[str, int]:
    """Give each of the ports, or the next free one; say so then."""
    ports = {name: _free_port(port) for name, port in PORTS.items()}
    for name, port in PORTS.items():
        if ports[name] != port:
            click.echo(f"port {port} ({name}) is busy: using {ports[name]}")
    return ports


async def _until_interrupted(folder: Path, ports: dict[str, int], pace: Pace) -> int:
    """Run the hospital; give how many things went wrong."""

    def tell(line: str) -> None:
        try:
            click.echo(line)
        except OSError:  # nobody reads any more, as after ``broker demo | head``
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            hospital.stop()

    hospital = Hospital(folder, ports, pace, _local_zone(), tell)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, hospital.stop)
    try:
        await hospital.run()
    except* BrokerError as group:
        raise group.exceptions[0] from group.exceptions[0].__cause__
    return hospital.tally.faults


def _local_zone() -> ZoneInfo:
    """Find the time zone of this machine, so that the page shows the time that its clock shows; else UTC."""
    place = os.environ.get("TZ", "").lstrip(":") or str(LOCALTIME.resolve()).partition("zoneinfo/")[2]
    try:
        return ZoneInfo(place)
    except (KeyError, OSError, ValueError):
        return ZoneInfo("UTC")


def _free_port(port: int) -> int:
    """Find the first port from *port* on that nobody listens on."""
    for candidate in range(port, port + TRIED):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return candidate
    raise click.ClickException(f"no free port among {TRIED} from {port} on")
