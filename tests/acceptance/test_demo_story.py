"""`broker demo`, as somebody sees it who tries the product for the first time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer

import pytest

from peers.browser import browse, take_picture
from peers.programs import find_program

ROOT = Path(__file__).parents[2]
PICTURES = os.environ.get("RADBROKER_PICTURES")
"""A folder for the pictures of the README; `make picture` sets it."""

ENDED = re.compile(r"order (A\d+) (completed|discontinued|cancelled)  (?:CT|MR|US) [^:]+: (.+)")
IMAGES = r"\d images in the archive, RIS told"
PLAIN = re.compile(IMAGES)
SPECIAL = {
    "cancelled": re.compile(r"the HIS took it back; gone from the list of CT1"),
    "moved": re.compile(rf"moved from \d\d:\d\d to \d\d:\d\d, MR1 saw the new time; {IMAGES}"),
    "wrong patient": re.compile(
        rf"another patient's name on the images; flagged on the page, nothing held back; {IMAGES}"
    ),
    "no MPPS": re.compile(rf"US1 reports no MPPS, so complete after 3 s without an image; {IMAGES}"),
    "broken off": re.compile(rf"broken off at the scanner; {IMAGES}"),
}
EMERGENCY = re.compile(
    r"study (E\d+) unscheduled  CT of an emergency that nobody has ordered: \d images taken and in the archive, .+"
)
SECONDS = 240

Demo = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name: the demo's socket is in it, and a socket's path has at most 107 characters."""
    with TemporaryDirectory(prefix="demo-") as folder:
        yield Path(folder)


@pytest.fixture
def demo(place: Path) -> Iterator[Demo]:
    """Start a demo that writes below *place*; it is killed when it takes too long."""
    started: list[subprocess.Popen[str]] = []
    timers: list[Timer] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "broker", "demo", "--rate", "600", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=place,
            env={**os.environ, "TMPDIR": str(place)},
        )
        started.append(process)
        timers.append(Timer(SECONDS, process.kill))
        timers[-1].start()
        return process

    yield start
    for process, timer in zip(started, timers, strict=True):
        timer.cancel()
        process.kill()
        process.communicate(timeout=60)


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    for line in process.stdout:
        yield line.rstrip("\n")


def page_of(process: subprocess.Popen[str]) -> str:
    """Read on to the line that says where the page is."""
    return next(line.rpartition(" ")[2] for line in lines_of(process) if line.startswith("ready: "))


def ended(lines: list[str]) -> dict[str, tuple[str, str]]:
    """Give accession -> (how it ended, what is told of it) of the orders among *lines*."""
    found = [match for line in lines if (match := ENDED.fullmatch(line))]
    assert len({match[1] for match in found}) == len(found)
    return {match[1]: (match[2], match[3]) for match in found}


def find_case(lines: list[str], case: str) -> str:
    """Give the accession number of an order with that special case; empty when there is none yet."""
    return next((accession for accession, (_, text) in ended(lines).items() if SPECIAL[case].fullmatch(text)), "")


def count(table: list[str], row: str) -> int:
    """Read one row of the table at the end."""
    (line,) = [line for line in table if row in line and not ENDED.fullmatch(line)]
    return int(line.split()[-1])


def assert_clean(process: subprocess.Popen[str], folder: Path) -> None:
    """The demo has gone with exit code 0, has complained of nothing and left nothing."""
    assert (process.wait(60), process.stderr.read() if process.stderr else "") == (0, "")
    assert not list(folder.iterdir())


def test_each_order_of_a_demo_ends_in_one_line_and_a_table_sums_them_up(
    demo: Demo, place: Path, tmp_path: Path
) -> None:
    process = demo("--orders", "12")
    page_of(process)
    at_work, *lines = lines_of(process)
    assert at_work.startswith("at work: ")
    cut = next(number for number, line in enumerate(lines) if line.startswith("ended after "))
    told, table = lines[:cut], lines[cut:]
    orders = ended(told)
    assert len(orders) == 12
    assert sorted(word for word, _ in orders.values()) == ["cancelled", *["completed"] * 10, "discontinued"]
    assert all(find_case(told, case) for case in SPECIAL)
    assert sum(bool(PLAIN.fullmatch(text)) for _, text in orders.values()) == 6
    assert [bool(EMERGENCY.fullmatch(line)) for line in told if not ENDED.fullmatch(line)] == [True]
    images = sum(int(found[1]) for line in told if (found := re.search(r"(\d) images ", line)))
    rows = {
        "sent by the HIS": 12,
        "worklist   ": 12,
        "completed": 10,
        "discontinued": 1,
        "cancelled": 1,
        "still under way": 0,
        " matched": 10,
        "mismatched": 1,
        "unscheduled": 1,
        "in the archive": images,
        "taken by the RIS": 11,
        "went wrong": 0,
    }
    assert {row: count(table, row) for row in rows} == rows
    assert any(re.fullmatch(r"time .+ \d+ ms", line) for line in table)
    assert_clean(process, place)


def test_the_page_shows_what_the_lines_tell_and_ctrl_c_ends_it_with_the_table(
    demo: Demo, place: Path, tmp_path: Path
) -> None:
    find_program("chromium")
    process = demo("--rate", "120")
    page, told = page_of(process), []
    for line in lines_of(process):
        told.append(line)
        if all(find_case(told, case) for case in SPECIAL) and any(map(EMERGENCY.fullmatch, told)):
            break
    shown = browse(page, tmp_path)
    assert "Everything is running" in shown
    for name in ("hl7 his", "dicom BROKER", "ris", "PACS"):
        assert f"<h3>{name} " in shown
    for accession, (word, _) in ended(told).items():
        row = shown[shown.index(f">{accession}</a></td>") :]
        assert f">{word}</span>" in row[: row.index("</tr>")]
    mixed_up = find_case(told, "wrong patient")
    assert "no order fits this study from CT1" in shown
    assert re.search(rf'<span class="state mismatched">mismatched</span>\s*<a href="[^"]+">{mixed_up}</a>', shown)
    life = browse(f"{page}/orders/{mixed_up}", tmp_path)
    assert '<span class="state mismatched">' in life
    assert "PatientName: ordered" in life
    if PICTURES:
        take_picture(page, tmp_path, Path(PICTURES) / "console.png", height=880)
        take_picture(f"{page}/orders/{mixed_up}", tmp_path, Path(PICTURES) / "order.png", height=1110)
    process.send_signal(signal.SIGINT)
    table = list(lines_of(process))
    assert count(table, "went wrong") == 0
    assert count(table, "completed") >= 10
    assert_clean(process, place)


def test_demos_that_start_together_get_ports_of_their_own_and_say_so(demo: Demo) -> None:
    pages, said = set(), []
    for process in [demo(), demo()]:
        for line in lines_of(process):
            said.append(re.sub(r"[0-9]+", "N", line))
            if line.startswith("ready: "):
                pages.add(line.rpartition(" ")[2])
                break
    assert len(pages) == 2
    assert {"port N (hlN) is busy: using N", "port N (dicom) is busy: using N", "port N (web) is busy: using N"} <= {
        *said
    }


def test_a_demo_that_nobody_reads_any_more_ends(demo: Demo, place: Path, tmp_path: Path) -> None:
    process = demo()
    page_of(process)
    assert process.stdout is not None
    process.stdout.close()
    assert_clean(process, place)


def test_the_pictures_of_the_readme_are_there_and_small(tmp_path: Path) -> None:
    named = re.findall(r"\]\((docs/images/[^)]+)\)", (ROOT / "README.md").read_text())
    assert named
    for name in named:
        content = (ROOT / name).read_bytes()
        assert content.startswith(b"\x89PNG")
        assert len(content) < 200_000
