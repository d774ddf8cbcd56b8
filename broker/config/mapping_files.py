"""The mappings folder on disk, read as names and bytes."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path, PurePosixPath

from broker.errors import ConfigurationError

SUFFIXES = frozenset({".yaml", ".yml", ".csv", ".hl7"})
SIZE_LIMIT = 5_000_000
COUNT_LIMIT = 5_000


def read_mapping_files(folder: Path) -> dict[str, bytes]:
    """Read the mappings, tables and samples below *folder*, by their path below it with ``/``.

    Hidden files are passed over. Raise ConfigurationError: C040 no folder, C041 unreadable or too large, C042 too many.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"no mappings folder {folder}", code="C040", hint="set 'mappings' to a folder")
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.suffix not in SUFFIXES or not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if len(files) >= COUNT_LIMIT:
            raise ConfigurationError(f"more than {COUNT_LIMIT} files in {folder}", code="C042", hint="move samples out")
        files[name.as_posix()] = _read(path)
    return files


def read_mapping_files_at(folder: Path, revision: str) -> dict[str, bytes]:
    """Read *folder* as it was at a git *revision* of the repository that it is in.

    Raise ConfigurationError: C044 no git, no repository, no such revision, or the folder was not there.
    """
    import tarfile  # with its compressors, which no start of the broker needs

    command = ["git", "-C", str(folder), "archive", "--format=tar", "--end-of-options", revision]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as fault:
        raise ConfigurationError(f"git cannot be run: {fault}", code="C044", hint="name a folder instead") from fault
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        hint = "name a git revision of the mappings folder, as in HEAD~1, or a folder"
        raise ConfigurationError(
            f"no version '{revision}' of {folder}: {said[0] if said else ''}", code="C044", hint=hint
        )
    files: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        for member in archive.getmembers():
            name = PurePosixPath(member.name)
            if name.suffix in SUFFIXES and member.isfile() and member.size <= SIZE_LIMIT:
                content = archive.extractfile(member)
                assert content is not None
                files[name.as_posix()] = content.read()
    return files


def stamp(folder: Path) -> object:
    """Give a value that changes when a file of *folder* does: names, sizes and times."""
    try:
        found = [(path, path.stat()) for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    except OSError:
        return None
    return tuple((str(path), status.st_size, status.st_mtime_ns) for path, status in found)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ConfigurationError(f"{path} has more than {SIZE_LIMIT} bytes", code="C041", hint="split it")
        return path.read_bytes()
    except OSError as fault:
        raise ConfigurationError(
            f"{path} cannot be read: {fault.strerror}", code="C041", hint="mend its rights"
        ) from fault
