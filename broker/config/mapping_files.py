"""The mappings folder on disk, read as names and bytes."""

from __future__ import annotations

from pathlib import Path

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


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise ConfigurationError(f"{path} has more than {SIZE_LIMIT} bytes", code="C041", hint="split it")
        return path.read_bytes()
    except OSError as fault:
        raise ConfigurationError(
            f"{path} cannot be read: {fault.strerror}", code="C041", hint="mend its rights"
        ) from fault
