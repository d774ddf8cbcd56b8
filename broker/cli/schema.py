"""``broker schema``: the JSON Schemas that editors use, made of what the broker itself reads by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click


def _mapping() -> dict[str, Any]:
    from broker.mapping.schema import mapping_schema

    return mapping_schema()


def _configuration() -> dict[str, Any]:
    from broker.config.schema import configuration_schema

    return configuration_schema()


SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {"mapping": _mapping, "configuration": _configuration}


@click.command()
@click.argument("which", type=click.Choice(list(SCHEMAS)))
def command(which: str) -> None:
    """Print the JSON Schema (draft-07) of a mapping file or of the configuration.

    An editor with the YAML language server uses it by a first line such as
    "# yaml-language-server: $schema=../schema/mapping-v1.json", which both kinds of files that are shipped have.
    """
    click.echo(written(SCHEMAS[which]()))


def written(schema: dict[str, Any]) -> str:
    """Write a schema compactly, with a line for each of its parts."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
