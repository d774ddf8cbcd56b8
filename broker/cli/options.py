"""Options that several verbs have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_CONFIGURATION = Path("config/broker.yaml")


def with_config(verb: F) -> F:
    """Add ``--config FILE``, given as *config*."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path),
        default=DEFAULT_CONFIGURATION,
        show_default=True,
        help="The broker's configuration.",
    )(verb)


def with_json(verb: F) -> F:
    """Add ``--json``, given as *as_json*."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(verb)


def with_phi(verb: F) -> F:
    """Add ``--show-phi``, given as *show_phi*."""
    return click.option("--show-phi", is_flag=True, help="Show patients' names and numbers, not masked.")(verb)
