"""A traceback on a terminal shows where, not what: local variables may hold a patient."""

from __future__ import annotations

import io

import structlog

from broker.observe.logging import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_traceback_on_a_terminal_holds_no_local_variables() -> None:
    terminal = Terminal()
    configure(terminal)
    patient = "GEHEIMRAT^OTTILIE"
    try:
        raise ValueError(len(patient))
    except ValueError:
        structlog.get_logger().exception("worker.failed")
    configure()

    assert "ValueError" in terminal.getvalue()
    assert "GEHEIMRAT" not in terminal.getvalue().replace('patient = "GEHEIMRAT^OTTILIE"', "")
