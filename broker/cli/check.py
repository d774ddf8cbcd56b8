"""``broker check``: are mappings sound, and do the tests inside them pass?"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from broker.cli.mappings import misfits, open_folders
from broker.cli.options import with_config
from broker.cli.output import show
from broker.errors import ConfigurationError
from broker.mapping.problems import Problem, render


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--format", "style", type=click.Choice(["text", "json", "github"]), default="text", show_default=True)
@click.option("--no-tests", is_flag=True, help="Do not run the tests inside the mappings.")
@with_config
@click.pass_context
def command(
    context: click.Context,
    config: Path,
    no_tests: bool,
    style: Literal["text", "json", "github"],
    paths: tuple[Path, ...],
) -> None:
    """Check the mappings in each PATH, or of the configuration, and run the tests inside them.

    Without PATH also whether the destinations of the configuration suit the mappings that they name.

    Exit code 78 when there is an error or a test fails; warnings do not count.
    """
    problems: list[Problem] = []
    mappings = tests = 0
    for folder in open_folders(paths, config):
        results = [] if no_tests else folder.tests()
        problems += [*folder.problems, *folder.failures(results)]
        mappings += folder.count
        tests += len(results)
        problems += misfits(config, folder) if not paths else []
    if not mappings and not problems:
        raise ConfigurationError("there is no mapping", code="C043", hint="a mapping is a .yaml file; see mappings/ihe")
    errors = [problem for problem in problems if problem.is_error]
    if problems or style == "json":
        click.echo(coloured(render(problems, style)) if style == "text" else render(problems, style))
    if style == "text":
        ran = "" if no_tests else f", {tests} test(s)"
        told = f"{mappings} mapping(s){ran}, {len(errors)} error(s), {len(problems) - len(errors)} warning(s)"
        show((told, "red" if errors else "green"))
    if errors:
        context.exit(78)


def coloured(text: str) -> str:
    """Colour the words error and warning, for a terminal."""
    text = text.replace(": error[", f": {click.style('error', fg='red', bold=True)}[")
    return text.replace(": warning[", f": {click.style('warning', fg='yellow', bold=True)}[")
