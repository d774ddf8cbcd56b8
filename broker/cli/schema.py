"""``broker schema``: the JSON Schemas that editors use, made of what the broker itself reads by."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from broker.mapping.schema import mapping_schema

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {"mapping": mapping_schema}


@click.command()
@click.argument("which", type=click.Choice(list(SCHEMAS)))
def command(which: str) -> None:
    """Print the JSON Schema (draft-07) of a mapping file.

    An editor with the YAML language server uses it by a first line such as
    "# yaml-language-server: $schema=../schema/mapping-v1.json".
    """
    click.echo(written(SCHEMAS[which]()))


def written(schema: dict[str, Any]) -> str:
    """Write a schema compactly, with a line for each of its parts."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":")).replace('},"', '},\n"')
