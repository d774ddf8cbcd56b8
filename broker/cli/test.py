"""``broker test``: run the tests that stand in mapping files."""

from __future__ import annotations

from pathlib import Path

import click

from broker.cli.check import coloured
from broker.cli.mappings import Folder, open_folders
from broker.cli.options import with_config, with_json
from broker.cli.output import show, show_json
from broker.mapping.problems import render
from broker.mapping.suite import TestResult


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("-k", "name", default="", help="Only tests whose 'mapping: test' contains this.")
@with_json
@with_config
@click.pass_context
def command(context: click.Context, config: Path, as_json: bool, name: str, paths: tuple[Path, ...]) -> None:
    """Run the tests inside the mappings in each PATH, or of the configuration. Exit code 1 when one fails."""
    folders = open_folders(paths, config)
    errors = [problem for folder in folders for problem in folder.problems if problem.is_error]
    if errors:
        click.echo(coloured(render(errors)), err=True)
        context.exit(78)
    ran = [(folder, folder.tests(name)) for folder in folders]
    results = [result for _, some in ran for result in some]
    if name and not results:
        raise click.UsageError(f"no test is called '{name}'")
    if as_json:
        show_json([_as_json(folder, result) for folder, some in ran for result in some])
    else:
        _show(ran)
    if not all(result.has_passed for result in results):
        context.exit(1)


def _show(ran: list[tuple[Folder, list[TestResult]]]) -> None:
    failed = total = 0
    for folder, results in ran:
        for result in results:
            total += 1
            failed += not result.has_passed
            word = ("passed", "green") if result.has_passed else ("FAILED", "bold red")
            show(word, f"  {result.mapping}: {result.name}")
        failures = folder.failures(results)
        if failures:
            click.echo(coloured(render(failures)))
    show((f"{total} test(s), {failed} failed", "red" if failed else "green"))


def _as_json(folder: Folder, result: TestResult) -> dict[str, object]:
    failures = [
        {"path": problem.place.path, "line": problem.place.line, "text": failure.text}
        for problem, failure in zip(folder.failures([result]), result.failures, strict=True)
    ]
    return {"mapping": result.mapping, "test": result.name, "passed": result.has_passed, "failures": failures}
