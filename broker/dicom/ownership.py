"""Whose a spool is: a name that stays with the folder, and a lock that the operating system takes away with its owner."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from broker.errors import ConfigurationError
from broker.ports import Ids

_PREFIX = "broker-"


class Ownership:
    """Holds the folder *root* until it is released or the process ends, by whatever cause.

    *id* is the same after every start and another for every spool, and so the broker's name among those that share a
    database. It is the name of an empty folder: whatever is a file in the spool is an object.
    """

    def __init__(self, root: Path, ids: Ids) -> None:
        """Take the folder; raise ConfigurationError (S011) when another process has it."""
        self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.id = next((path.name.removeprefix(_PREFIX) for path in root.glob(f"{_PREFIX}*")), "")
            if not self.id:
                self.id = ids()
                (root / f"{_PREFIX}{self.id}").mkdir(mode=0o700)
                os.fsync(self._descriptor)
        except BlockingIOError as error:
            self.release()
            raise ConfigurationError(
                f"the spool {root} is in use by another broker",
                code="S011",
                hint="stop it, or give this one a spool of its own",
            ) from error
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
