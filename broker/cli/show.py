"""``broker show``: one mapping written out, for the person who maintains it or for the hospital that signs it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from broker.cli.mappings import find_entry
from broker.cli.options import with_config, with_mappings
from broker.cli.output import show, show_json
from broker.mapping.document import as_html, as_markdown, document
from broker.mapping.resolved import lines, resolved


@click.command()
@click.argument("mapping")
@click.option("--resolved", "is_resolved", is_flag=True, help="The merged file, each line with where it was written.")
@click.option("--as", "shape", type=click.Choice(["table"]), help="An interface document, to print.")
@click.option("--format", "style", type=click.Choice(["markdown", "html", "json"]), help="Of the interface document.")
@with_mappings
@with_config
def command(
    config: Path,
    folder: Path | None,
    style: Literal["markdown", "html", "json"] | None,
    shape: str | None,
    is_resolved: bool,
    mapping: str,
) -> None:
    """Show MAPPING (as in ihe/orm-to-mwl) with everything that it inherits: as one file, or as a document.

    --resolved prints YAML that means the same without a parent; --as table an interface document.
    """
    if is_resolved and shape:
        raise click.UsageError("--resolved and --as table: one of them")
    if style and not shape:
        raise click.UsageError("--format belongs to --as table")
    entry, files = find_entry(folder, config, mapping)
    if shape is None:
        found = list(lines(resolved(entry, files)))
        width = min(100, max(len(line.text) for line in found))
        for line in found:
            show(f"{line.text:<{width}}", (f"  # {line.origin}", "dim"))
        return
    sections = document(entry, files)
    if style == "json":
        show_json([{"title": one.title, "text": one.text, "heads": one.heads, "rows": one.rows} for one in sections])
    else:
        click.echo(as_html(sections) if style == "html" else as_markdown(sections))
