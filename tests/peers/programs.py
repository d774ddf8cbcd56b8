"""Where the peers' programs are: the one place that looks for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

SAYS = {
    "Orthanc": ("--version", "Orthanc "),
    "mosquitto": ("-h", "mosquitto version "),
    "chromium": ("--version", "Chromium "),
}
DCMTK = ("--version", "$dcmtk")


def find_program(name: str) -> str:
    """Find a peer's program: ``find_program("findscu")`` is its path.

    Names not in the table are DCMTK's; pynetdicom installs programs of the same names, so each is asked who it is.
    A missing peer skips the test, but fails it under ``.ci/run``, which installs them all.
    """
    found = search_program(name)
    if found is None:
        (pytest.fail if os.environ.get("RADBROKER_CI") else pytest.skip)(f"{name} is not on PATH")
    return found


@cache
def search_program(name: str) -> str | None:
    """Find a peer's program, or None."""
    folders = [*os.environ.get("PATH", "").split(os.pathsep), "/usr/sbin"]
    programs = [shutil.which(name, path=folder) for folder in folders]
    return next((program for program in programs if program and _is_genuine(name, program)), None)


def _is_genuine(name: str, program: str) -> bool:
    argument, words = SAYS.get(name, DCMTK)
    answer = subprocess.run([program, argument], capture_output=True, text=True, timeout=30, check=False, cwd=Path("/"))
    return words in answer.stdout.partition("\n")[0]
