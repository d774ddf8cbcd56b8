"""A small disk of its own, to be filled or made read-only."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

PAGE = 4096


class Disk:
    """A tmpfs of *megabytes* at *folder*; mounting one takes root, so without it the test is skipped."""

    def __init__(self, folder: Path, megabytes: int = 32) -> None:
        self.folder = folder
        folder.mkdir()
        self._ballast = folder / "ballast"
        try:
            self._mount("-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs")
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("a disk of the test's own cannot be mounted here")

    def fill(self) -> None:
        """Leave no room at all."""
        descriptor = os.open(self._ballast, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        try:
            while True:
                os.write(descriptor, bytes(PAGE))
        except OSError as fault:
            if fault.errno != errno.ENOSPC:
                raise
        finally:
            os.close(descriptor)

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self._ballast.unlink()

    def allow_writing(self, is_allowed: bool) -> None:
        """Make the disk read-only, or writable again; nobody may have a file of it open for writing."""
        self._mount("-o", f"remount,{'rw' if is_allowed else 'ro'}")

    def remove(self) -> None:
        """Unmount it, however busy."""
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True, timeout=20)

    def _mount(self, *options: str) -> None:
        subprocess.run(["mount", *options, str(self.folder)], check=True, timeout=20, capture_output=True)
