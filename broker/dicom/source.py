"""Where the data set of an object that is sent comes from, piece by piece; the loop never waits for the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import FileIO
from pathlib import Path
from typing import Final

READ_SIZE: Final = 1_048_576

Source = Path | bytes | AsyncIterator[bytes]
"""A file, bytes, or pieces of any size."""


async def pieces(source: Source, offset: int) -> AsyncIterator[bytes]:
    """Yield the data set in *source*, which begins after *offset* bytes of a file or of bytes. Raises OSError."""
    if isinstance(source, bytes):
        yield source[offset:] if offset else source
    elif isinstance(source, Path):
        file, piece = await asyncio.to_thread(_open, source, offset)
        with file:
            while piece:
                yield piece
                piece = await asyncio.to_thread(file.read, READ_SIZE) if len(piece) == READ_SIZE else b""
    else:
        async for piece in source:
            yield piece


def _open(path: Path, offset: int) -> tuple[FileIO, bytes]:
    file = FileIO(path)
    file.seek(offset)
    return file, file.read(READ_SIZE)
