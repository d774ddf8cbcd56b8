"""``broker demo``: the broker with a simulated hospital around it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

import click

from broker.errors import BrokerError
from broker.observe.logging import configure
from broker.sim.hospital import Hospital, Pace

PORTS = {"hl7": 2575, "dicom": 11112, "web": 8080}
TRIED = 200


@click.command(name="demo")
@click.option("--rate", type=click.FloatRange(1, 6000), default=60.0, show_default=True, help="Orders a minute.")
@click.option("--orders", type=click.IntRange(1), help="End after so many orders.")
@click.option("--verbose", is_flag=True, help="Show the broker's log lines on stderr.")
def command(rate: float, orders: int | None, verbose: bool) -> None:
    """Run the broker with a simulated hospital: a HIS, a CT, an archive, a RIS.

    For each order that ends one line is printed: order ACCESSION completed, discontinued or cancelled. Ports that
    are busy are replaced by the next free ones. What it writes goes with it. Ctrl-C ends it.
    """
    configure(level="INFO" if verbose else "WARNING")
    ports = {name: _free_port(port) for name, port in PORTS.items()}
    for name, port in PORTS.items():
        if ports[name] != port:
            click.echo(f"port {port} ({name}) is busy: using {ports[name]}")
    with tempfile.TemporaryDirectory(prefix="radbroker-demo-") as folder:
        asyncio.run(_until_interrupted(Path(folder), ports, Pace(orders_a_minute=rate, orders=orders)))


async def _until_interrupted(folder: Path, ports: dict[str, int], pace: Pace) -> None:
    def tell(line: str) -> None:
        try:
            click.echo(line)
        except OSError:  # nobody reads any more, as after ``broker demo | head``
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            hospital.stop()

    hospital = Hospital(folder, ports, pace, tell)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, hospital.stop)
    try:
        await hospital.run()
    except* BrokerError as group:
        raise group.exceptions[0] from None
    tell("ended")


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
