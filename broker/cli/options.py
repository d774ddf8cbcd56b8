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


def with_mappings(verb: F) -> F:
    """Add ``--mappings FOLDER``, given as *folder*."""
    return click.option(
        "--mappings",
        "folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="The folder of mappings, when not that of the configuration.",
    )(verb)


def with_messages(verb: F) -> F:
    """Add ``--last N`` and ``--corpus FOLDER``: stored messages, or those of a folder or file."""
    corpus = click.Path(exists=True, path_type=Path)
    verb = click.option("--corpus", type=corpus, help="Over the messages in this folder or file.")(verb)
    last = click.IntRange(1, 100_000)
    return click.option("--last", type=last, help="Over the last N stored messages (500).")(verb)
