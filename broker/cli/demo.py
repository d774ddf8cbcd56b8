"""``broker demo``: the broker with a simulated hospital around it."""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from pathlib import Path

import click

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
        hospital = Hospital(Path(folder), ports, Pace(orders_a_minute=rate, orders=orders), click.echo)
        asyncio.run(_until_interrupted(hospital))


async def _until_interrupted(hospital: Hospital) -> None:
    running = asyncio.create_task(hospital.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        click.echo("ended")


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
