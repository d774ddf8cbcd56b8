"""One broker a SQLite file: a lock beside it that the operating system takes away when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

from broker.errors import ConfigurationError


class FileLock:
    """Holds ``<database>.lock`` until it is released or the process ends, by whatever cause."""

    def __init__(self, database: Path) -> None:
        """Take the lock; raise ConfigurationError (S004) when another process has it."""
        self.path = database.with_name(database.name + ".lock")
        self._descriptor = -1
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._take(database)
        except OSError as error:
            self.release()
            raise ConfigurationError(
                f"the lock file {self.path} cannot be used: {error.strerror}",
                code="S004",
                hint="give the broker's user the right to write in that folder, and room on its disk",
            ) from error

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let others have it. The file stays: taking it away could take it from another owner."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _take(self, database: Path) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            self.release()
            raise ConfigurationError(
                f"the database {database} is in use by another broker (process {owner})",
                code="S004",
                hint=f"stop it, or give this one a database of its own; the lock is {self.path}",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
