"""`broker demo`, as somebody sees it who tries the product for the first time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import pytest

ENDED = re.compile(r"order (A\d+) (completed|discontinued|cancelled)  CT .+: (?P<rest>.+)")
SECONDS = 90

Demo = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    """Start a demo that writes below *tmp_path*; it is killed when it takes too long."""
    started: list[subprocess.Popen[str]] = []
    timers: list[Timer] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker", "demo", "--rate", "600", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        started.append(process)
        timers.append(Timer(SECONDS, process.kill))
        timers[-1].start()
        return process

    yield start
    for process, timer in zip(started, timers, strict=True):
        timer.cancel()
        process.kill()
        process.communicate(timeout=10)


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")


def page_of(process: subprocess.Popen[str]) -> str:
    """Read on to the line that says where the page is."""
    return next(line.rpartition(" ")[2] for line in lines_of(process) if line.startswith("ready: "))


def test_each_order_of_a_demo_ends_in_one_line(demo: Demo, tmp_path: Path) -> None:
    process = demo("--orders", "5")
    page_of(process)
    *orders, last = lines_of(process)
    found = [ENDED.fullmatch(line) for line in orders]
    assert all(found), orders
    words = {match[1]: (match[2], match["rest"]) for match in found if match}
    assert len(words) == 5
    assert sorted(word for word, _ in words.values()) == ["cancelled", *["completed"] * 4]
    for word, rest in words.values():
        assert rest == "taken off the list" if word == "cancelled" else rest.endswith("images in the archive, RIS told")
    assert last == "ended"
    assert (process.wait(10), process.stderr.read() if process.stderr else "") == (0, "")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_demo_goes_quietly_and_leaves_nothing(demo: Demo, tmp_path: Path) -> None:
    process = demo()
    page = page_of(process)
    assert "Today" in urllib.request.urlopen(page, timeout=10).read().decode()
    next(line for line in lines_of(process) if ENDED.fullmatch(line))
    process.send_signal(signal.SIGINT)
    assert list(lines_of(process))[-1] == "ended"
    assert (process.wait(10), process.stderr.read() if process.stderr else "") == (0, "")
    assert not list(tmp_path.iterdir())


def test_a_second_demo_takes_the_next_ports_and_says_so(demo: Demo) -> None:
    first = page_of(demo())
    second = demo("--orders", "1")
    said = [next(lines_of(second)) for _ in range(4)]
    assert [re.sub(r"\d+", "N", line) for line in said[:3]] == [
        "port N (hlN) is busy: using N",
        "port N (dicom) is busy: using N",
        "port N (web) is busy: using N",
    ]
    assert said[3].rpartition(" ")[2] != first


def test_a_demo_that_nobody_reads_any_more_ends(demo: Demo, tmp_path: Path) -> None:
    process = demo()
    page_of(process)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(60) == 0
    assert (process.stderr.read() if process.stderr else "") == ""
    assert not list(tmp_path.iterdir())
