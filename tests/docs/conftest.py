"""A reader at a desk: writes the files of a page into a folder and types its commands, against the real command line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from broker.cli.main import broker
from broker.errors import BrokerError
from peers.waiting import eventually, free_port, is_open

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```([a-z0-9]+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fenced:
    """A fenced block of a page: its language, the file that it names, its text, the line where it begins."""

    language: str
    name: str
    text: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command of a console block, what the page says it prints, and with which exit code it ends."""

    words: list[str]
    said: str
    exit_code: int


def fenced(page: Path) -> list[Fenced]:
    """Give the blocks of a page in their order."""
    text = page.read_text()
    return [
        Fenced(language=found[1], name=found[2] or "", text=found[3], line=text.count("\n", 0, found.start()) + 1)
        for found in _FENCE.finditer(text)
    ]


def typed(block: Fenced) -> list[Typed]:
    """Give the commands of a console block."""
    commands = []
    for one in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        first, _, said = one.partition("\n")
        words = shlex.split(first, comments=True)
        code = re.search(r"^exit code (\d+)\n\Z", said, re.MULTILINE)
        said = said[: code.start()] if code else said
        commands.append(Typed(words=words, said=said, exit_code=int(code[1]) if code else 0))
    return commands


def as_pattern(said: str) -> str:
    """Make a pattern of what a page says: ``...`` is any text of a line, alone on a line any number of lines."""
    lines = []
    for line in said.rstrip("\n").split("\n"):
        if line == "...":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append(r"[^\n]*".join(re.escape(part) for part in re.split(r" *\.\.\. *", line)) + r" *\n")
    return "".join(lines)


def understood(command: Typed) -> None:
    """Parse a command as the real program does, without running it; fail for what it does not know."""
    group, context, words = broker, click.Context(broker), command.words[1:]
    while isinstance(group, click.Group):
        name, group, words = group.resolve_command(context, words)
        assert group is not None
        context = click.Context(group, info_name=name, parent=context)
    group.parse_args(context, words)


@dataclass
class Desk:
    """The reader's folder, with the shipped mappings and configuration; a broker is started when it is asked for."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    _broker: subprocess.Popen[bytes] | None = None

    def do(self, block: Fenced) -> None:
        """Write the block's file, mend it, or type its commands."""
        match block.language:
            case "console":
                if block.name == "running" and not self.ports:
                    self.start()
                for command in typed(block):
                    self.type(command) if block.name != "offered" else understood(command)
            case "edit":
                self._mend(block)
            case _ if block.name:
                file = self.folder / block.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)

    def type(self, command: Typed) -> None:
        """Run a command; fail when it says something else than the page."""
        program, *arguments = (word.replace(":2575", f":{self.ports.get('hl7')}") for word in command.words)
        if program == "cp":
            shutil.copytree(self.folder / arguments[1], self.folder / arguments[2])
            return
        assert program == "broker", command.words
        result = CliRunner().invoke(broker, arguments)
        if isinstance(result.exception, BrokerError):
            raise result.exception
        shown = re.sub(r"[ \t]+\n", "\n", result.output if result.output.endswith("\n") else result.output + "\n")
        assert re.fullmatch(as_pattern(command.said), shown), f"broker {shlex.join(arguments)} printed:\n{shown}"
        assert result.exit_code == command.exit_code, shown

    def start(self) -> None:
        """Start the broker of this folder on free ports, and wait until it is ready."""
        self.ports = {name: free_port() for name in ("hl7", "dicom", "web")}
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BROKER__HL7__LISTENERS__HIS__PORT": str(self.ports["hl7"]),
            "BROKER__DICOM__PORT": str(self.ports["dicom"]),
            "BROKER__WEB__PORT": str(self.ports["web"]),
        }
        command = [sys.executable, "-m", "broker", "run"]
        with (self.folder / "broker.log").open("wb") as log:
            self._broker = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)
        eventually(lambda: "broker.ready" in (self.folder / "broker.log").read_text(), 60)
        assert is_open(self.ports["hl7"])

    def stop(self) -> None:
        """Stop the broker, if one was started."""
        if self._broker is not None:
            self._broker.send_signal(signal.SIGTERM)
            try:
                self._broker.wait(30)
            except subprocess.TimeoutExpired:
                self._broker.kill()
                self._broker.wait(30)

    def _mend(self, block: Fenced) -> None:
        file = self.folder / block.name
        text = file.read_text()
        for old, new in re.findall(r"((?:^-.*\n)+)((?:^\+.*\n)*)", block.text, re.MULTILINE):
            before, after = (re.sub(r"^[-+]", "", lines, flags=re.MULTILINE) for lines in (old, new))
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        file.write_text(text)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A folder as one has it after unpacking: config and mappings; commands run in it."""
    for name in ("config", "mappings"):
        shutil.copytree(ROOT / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    made = Desk(folder=tmp_path)
    yield made
    made.stop()


@pytest.fixture
def pages() -> Any:
    """Give the words of this file to the tests: blocks, commands, patterns."""
    return sys.modules[__name__]
