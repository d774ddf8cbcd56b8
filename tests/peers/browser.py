"""Chromium, as somebody who looks at a page: what it shows once its scripts ran, and a picture of it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from peers.programs import find_program

WIDTH = 1200
QUIETLY = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def browse(url: str, home: Path) -> str:
    """Open a page; give what has become of it. What the browser keeps goes below *home*."""
    return _run(home, "--dump-dom", url)


def take_picture(url: str, home: Path, picture: Path, height: int) -> None:
    """Open a page; write what is seen of it as a PNG."""
    _run(
        home,
        "--run-all-compositor-stages-before-draw",
        f"--window-size={WIDTH},{height}",
        f"--screenshot={picture}",
        url,
    )


def _run(home: Path, *arguments: str) -> str:
    command = [find_program("chromium"), *QUIETLY, f"--user-data-dir={home / 'chromium'}", *arguments]
    environment = {**os.environ, "HOME": str(home)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True, env=environment)
    return done.stdout
