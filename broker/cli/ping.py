"""``broker ping``: do the nodes and destinations of a configuration answer?"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from urllib.parse import unquote, urlsplit

import click
import uvloop

from broker.cli.options import with_config, with_json
from broker.cli.output import show_json, show_table
from broker.config.load import load
from broker.config.model import Configuration, HL7Destination, MqttDestination
from broker.config.problems import did_you_mean
from broker.errors import BrokerError, Unreachable

SECONDS = 5.0
IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinged:
    """What came of one ping."""

    name: str
    kind: str
    address: str
    up: bool
    milliseconds: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Something to ask; *ask* raises when it does not answer."""

    kind: str
    address: str
    ask: Callable[[], Awaitable[None]]


@click.command()
@click.argument("names", metavar="[NODE|DESTINATION]...", nargs=-1)
@with_json
@with_config
@click.pass_context
def command(context: click.Context, config: Path, as_json: bool, names: tuple[str, ...]) -> None:
    """Ask nodes (C-ECHO) and destinations (connect) whether they answer: those named, or all."""
    targets = _targets(load(config, os.environ).configuration)
    for name in names:
        if name not in targets:
            hint = did_you_mean(name, targets) or f"known: {', '.join(targets) or 'none with an address'}"
            raise click.BadParameter(f"no node or destination '{name}'; {hint}", ctx=context)
    pinged = uvloop.run(_ping_all({name: targets[name] for name in names or targets}))
    if as_json:
        show_json([asdict(one) for one in pinged])
    else:
        show_table(
            ("NAME", "KIND", "ADDRESS", "ANSWERS", "MS", "ERROR"),
            [
                [one.name, one.kind, one.address, "yes" if one.up else "no", f"{one.milliseconds:.1f}", one.error]
                for one in pinged
            ],
            empty=f"no nodes or destinations with an address in {config}",
        )
    if not all(one.up for one in pinged):
        context.exit(69)


def _targets(configuration: Configuration) -> Mapping[str, Target]:
    calling = configuration.dicom.ae_title
    found: dict[str, Target] = {}
    for title, node in configuration.dicom.nodes.items():
        if node.host and node.port:
            found[title] = _dicom(calling, title, node.host, node.port)
    for name, destination in configuration.destinations.items():
        found[name] = _mllp(destination) if isinstance(destination, HL7Destination) else _mqtt(destination)
    return found


def _dicom(calling: str, title: str, host: str, port: int) -> Target:
    async def ask() -> None:
        from broker.dicom.client import associate
        from broker.ul.dimse import VERIFICATION

        contexts = [(VERIFICATION, [IMPLICIT_VR_LITTLE_ENDIAN])]
        async with associate(host, port, calling=calling, called=title, contexts=contexts) as association:
            answer = await association.echo()
        if not answer.is_success:
            raise Unreachable(f"C-ECHO was answered {answer.status:04X}", code="C012")

    return Target(kind="DICOM", address=f"{host}:{port}", ask=ask)


def _mllp(destination: HL7Destination) -> Target:
    async def ask() -> None:
        _, writer = await asyncio.open_connection(destination.host, destination.port)
        with closing(writer):
            pass

    return Target(kind="MLLP", address=f"{destination.host}:{destination.port}", ask=ask)


def _mqtt(destination: MqttDestination) -> Target:
    parts = urlsplit(destination.url)
    port = parts.port or (8883 if parts.scheme == "mqtts" else 1883)
    host = parts.hostname or "127.0.0.1"

    async def ask() -> None:
        import aiomqtt

        client = aiomqtt.Client(
            host,
            port,
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls_params=aiomqtt.TLSParameters() if parts.scheme == "mqtts" else None,
            timeout=SECONDS,
        )
        try:
            async with client:
                pass
        except aiomqtt.MqttError as fault:
            raise Unreachable(str(fault), code="C012") from None

    return Target(kind="MQTT", address=f"{host}:{port}", ask=ask)


async def _ping_all(targets: Mapping[str, Target]) -> list[Pinged]:
    return list(await asyncio.gather(*(_ping(name, target) for name, target in targets.items())))


async def _ping(name: str, target: Target) -> Pinged:
    begin, error = perf_counter(), ""
    try:
        async with asyncio.timeout(SECONDS):
            await target.ask()
    except TimeoutError:
        error = f"no answer in {SECONDS:g} s"
    except OSError as fault:
        error = fault.strerror or str(fault)
    except BrokerError as fault:
        error = str(fault)
    milliseconds = round((perf_counter() - begin) * 1000, 1)
    return Pinged(
        name=name, kind=target.kind, address=target.address, up=not error, milliseconds=milliseconds, error=error
    )
