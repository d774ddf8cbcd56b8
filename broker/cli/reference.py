"""``broker reference``: the pages of docs/reference, made of what the broker itself reads by."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import click

from broker.cli.main import VERBS


@click.command()
@click.argument("page", type=click.Choice(["mapping", "configuration", "cli"]))
def command(page: str) -> None:
    """Print a page of the reference in Markdown."""
    click.echo(PAGES[page]())


def configuration_page() -> str:
    """Write every key of the configuration, block by block."""
    from broker.config.describe import Block, describe

    def section(path: str, block: Block, above: str) -> Iterator[str]:
        if path:
            yield f"\n## `{path}`\n"
            yield above or block.says
            yield ""
        rows = []
        for key in block.keys:
            kind = key.kind.words if key.kind else "blocks, each by its name" if key.is_named else "a block"
            kind = f"{kind}; or a list" if key.is_list else kind
            default = "must be given" if key.is_needed else code(key.default) if key.default else ""
            rows.append((code(key.name), kind, default, key.says))
        yield from table(("key", "value", "default", "what it is"), rows)
        for key in block.keys:
            for one in key.blocks:
                name = ".NAME" if key.is_named else ""
                variant = f" (type: {one.variant})" if one.variant else ""
                yield from section(f"{path}{'.' if path else ''}{key.name}{name}{variant}", one, one.says)

    head = (
        "# Configuration: every key",
        "",
        "The file is `config/broker.yaml`; YAML or JSON. Every key may be left out, then its default holds. Several may be",
        "written where a list is possible: `[A, B]`, or `A` alone. `NAME` stands for a name of yours. `${NAME}`,",
        "`${NAME:-default}` and `file:/run/secrets/x` are replaced, in numbers too. Every key can be given in the environment:",
        "`BROKER__HL7__LISTENERS__HIS__PORT=2600`. Relative paths begin at the file's folder. An editor with the YAML language",
        "server completes and explains the keys: the file's first line names the schema (`broker schema configuration`).",
        "",
    )
    return "\n".join([*head, *section("", describe(), "")])


def commands_page() -> str:
    """Write every verb with its arguments and options."""
    lines = [
        "# Command line: every verb",
        "",
        "`broker --help` lists the verbs, `broker VERB --help` explains one. Exit codes: 0 ok, 1 a test or comparison failed,",
        "2 usage, 69 a server it needs is unreachable, 70 the database writer died, 78 problems in configuration or mappings.",
    ]
    root = click.Context(click.Group("broker"), info_name="broker")
    for name, (module, _) in VERBS.items():
        verb: click.Command = importlib.import_module(f"broker.cli.{module}").command
        lines += _verb(verb, name, root)
    return "\n".join(lines)


def _verb(verb: click.Command, name: str, above: click.Context) -> Iterator[str]:
    context = click.Context(verb, info_name=name, parent=above)
    if isinstance(verb, click.Group):
        for inner in verb.list_commands(context):
            found = verb.get_command(context, inner)
            assert found is not None
            yield from _verb(found, inner, context)
        return
    path = context.command_path
    yield f"\n## {path}\n"
    yield f"`{' '.join([path, *verb.collect_usage_pieces(context)])}`\n"
    yield " ".join((verb.help or "").split("\n\n")[0].split())
    for paragraph in (verb.help or "").split("\n\n")[1:]:
        yield f"\n{' '.join(paragraph.split())}"
    records = [
        record
        for option in verb.params
        if isinstance(option, click.Option) and (record := option.get_help_record(context))
    ]
    if records:
        yield ""
        yield from table(("option", "what it does"), [(code(option), says) for option, says in records])


def code(text: str) -> str:
    """Write *text* as code, nothing for none."""
    return f"`{text}`" if text else ""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a table."""
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for row in rows:
        yield "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |"


def _mapping_page() -> str:
    from broker.cli.reference_mapping import mapping_page

    return mapping_page()


PAGES: Mapping[str, Callable[[], str]] = {
    "mapping": _mapping_page,
    "configuration": configuration_page,
    "cli": commands_page,
}
