"""Log lines on stderr: JSON for programs, key=value on a terminal; everybody logs through structlog.get_logger()."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from broker.observe.redact import redact


def configure(stream: TextIO | None = None, *, level: str = "INFO") -> None:
    """Send the log lines of the broker and of its libraries (warnings and worse) to *stream*, stderr by default."""
    target = stream or sys.stderr
    is_terminal = target.isatty()
    renderer: Any = (
        structlog.dev.ConsoleRenderer(timestamp_key="at", pad_event_to=28)
        if is_terminal
        else structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(
                fmt="%H:%M:%S.%f" if is_terminal else "iso", utc=not is_terminal, key="at"
            ),
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Forgiving(target))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


class _Forgiving:
    """A stream that loses what it cannot write: a full disk or a reader that is gone stops the log, not the work."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write *text*, or lose it."""
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        with suppress(OSError):
            self._stream.flush()


class _Libraries(logging.Handler):
    """Hands what a library logs by the standard library's way on to structlog, masked like everything else."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* as ``library.logged``."""
        structlog.get_logger().log(
            record.levelno, "library.logged", library=record.name, text=record.getMessage(), exc_info=record.exc_info
        )
