"""The allow-list against what the broker's own code logs."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from broker.observe.redact import KEYS, TEXTS

PACKAGE = Path(__file__).parents[3] / "broker"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def logged_keys() -> Iterator[tuple[str, str]]:
    """Give every key that is passed to ``log.<level>(...)``, with its place."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
                for keyword in node.keywords:
                    if keyword.arg not in (None, "exc_info"):
                        yield str(keyword.arg), f"{path.relative_to(PACKAGE)}:{node.lineno}"


def test_every_key_that_the_broker_logs_is_on_the_list() -> None:
    assert [(key, place) for key, place in logged_keys() if key not in KEYS | TEXTS] == []
