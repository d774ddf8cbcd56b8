"""``broker send``: an MLLP client for files of HL7 messages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO, Any

import click
import uvloop

from broker.cli.options import with_json
from broker.cli.output import show, show_json
from broker.hl7.charset import decode
from broker.hl7.framing import VT, Frame, Framer
from broker.mllp.client import Answer, MllpClient

_LARGEST = 1 << 30
_ENVELOPE = (b"FHS", b"BHS", b"BTS", b"FTS")


class HostAndPort(click.ParamType[tuple[str, int]]):
    """``host:port``, an IPv6 address in brackets."""

    name = "host:port"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> tuple[str, int]:
        """Split *value*."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            self.fail(f"'{value}' is not host:port, as in 127.0.0.1:2575", parameter, context)
        return host.strip("[]"), int(port)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.File("rb"))
@click.option("--to", type=HostAndPort(), default="127.0.0.1:2575", show_default=True, help="Where to.")
@click.option("--timeout", type=click.FloatRange(0.1), default=30.0, show_default=True, help="Seconds for each answer.")
@with_json
@click.pass_context
def command(
    context: click.Context, files: tuple[IO[bytes], ...], to: tuple[str, int], timeout: float, as_json: bool
) -> None:
    """Send the HL7 messages in each FILE (- is the standard input) over MLLP, in order, and print each answer.

    A file may hold several messages, framed by MLLP or each beginning with MSH. Exit code 1 when one was not accepted.
    """
    messages = [(getattr(file, "name", "-"), message) for file in files for message in split(file.read())]
    if not messages:
        raise click.UsageError("no message found: a message begins with MSH")
    answers = uvloop.run(_send_all(messages, to, timeout, as_json))
    if as_json:
        show_json([_as_json(name, message, answer) for (name, message), answer in zip(messages, answers, strict=True)])
    if not all(answer.is_accepted for answer in answers):
        context.exit(1)


def split(content: bytes) -> Iterator[bytes]:
    """Give each message of a file, with CR at the end of each segment; batch envelopes are left out."""
    if VT in content:
        payloads = [found.payload for found in Framer(_LARGEST).feed(content) if isinstance(found, Frame)]
    else:
        payloads = re.split(rb"[\r\n](?=MSH)", content.removeprefix(b"\xef\xbb\xbf"))
    for payload in payloads:
        segments = payload.replace(b"\n", b"\r").split(b"\r")
        segments = [segment for segment in segments if segment.strip() and not segment.startswith(_ENVELOPE)]
        if segments and segments[0].startswith(b"MSH"):
            yield b"\r".join(segments) + b"\r"


def field(message: bytes, number: int) -> str:
    """Give MSH-*number* of a message, from 3 on."""
    fields = message.partition(b"\r")[0].split(message[3:4])
    return fields[number - 1].decode("utf-8", "replace").strip() if len(fields) >= number else ""


async def _send_all(
    messages: list[tuple[str, bytes]], to: tuple[str, int], timeout: float, is_quiet: bool
) -> list[Answer]:
    client = MllpClient(*to, connect_timeout=min(timeout, 10.0), answer_timeout=timeout)
    answers: list[Answer] = []
    try:
        for name, message in messages:
            answer = await client.send(message, field(message, 10))
            answers.append(answer)
            if not is_quiet:
                _show(name, message, answer)
    finally:
        await client.close()
    return answers


def _show(name: str, message: bytes, answer: Answer) -> None:
    said = f"  {answer.text}" if answer.text else ""
    show(f"{name}  {field(message, 9)}  {field(message, 10) or '-'}  ", answer.code or ("no answer", "red"), said)
    for segment in decode(answer.raw).text.replace("\n", "\r").split("\r") if answer.raw else ():
        if segment:
            show((f"  {segment}", "dim"))


def _as_json(name: str, message: bytes, answer: Answer) -> dict[str, str]:
    return {
        "file": name,
        "type": field(message, 9),
        "control_id": field(message, 10),
        "code": answer.code,
        "error_code": answer.error_code,
        "text": answer.text,
        "answer": decode(answer.raw).text if answer.raw else "",
    }
