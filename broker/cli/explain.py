"""``broker explain``: what a problem of ``broker check`` means and how it goes away."""

from __future__ import annotations

import re

import click

from broker.cli.options import with_json
from broker.cli.output import show, show_json, show_table
from broker.mapping.explanations import EXPLANATIONS, Explanation

PAGE = "docs/reference/mapping.md"
"""Where the codes have a place each."""

SETTINGS_PAGE = "docs/reference/configuration.md"


@click.command()
@click.argument("code", required=False)
@with_json
def command(as_json: bool, code: str | None) -> None:
    """Explain the problem CODE of a mapping (as in M043): cause, an example, the same mended. Without CODE: list all."""
    if code is None:
        _list(as_json)
        return
    explanation = EXPLANATIONS.get(code.upper())
    if explanation is None:
        raise click.UsageError(_why_not(code.upper()))
    if as_json:
        show_json(_as_json(code.upper(), explanation))
        return
    show((code.upper(), "bold red"), " ", (explanation.title, "bold"))
    show(explanation.cause)
    for head, example, style in (("instead of", explanation.wrong, "red"), ("write", explanation.right, "green")):
        show("")
        show((head, "bold"))
        for line in example.splitlines():
            show((f"  {line}", style))
    show("")
    show(("see ", "dim"), f"{PAGE}#{code.lower()}")


def _why_not(code: str) -> str:
    if re.fullmatch("C[0-9]{3}", code):
        return (
            f"{code} is of the configuration, and only problems of mappings (M...) have a page: what it was said with tells "
            f"the setting and the way out, broker check shows both again; all settings are in {SETTINGS_PAGE}"
        )
    return f"no problem has the code '{code}'; known: {', '.join(EXPLANATIONS)}"


def _list(as_json: bool) -> None:
    if as_json:
        show_json([_as_json(code, explanation) for code, explanation in EXPLANATIONS.items()])
        return
    rows = [(code, explanation.title) for code, explanation in EXPLANATIONS.items()]
    show_table(["CODE", "PROBLEM"], rows, empty="")


def _as_json(code: str, explanation: Explanation) -> dict[str, str]:
    return {
        "code": code,
        "title": explanation.title,
        "cause": explanation.cause,
        "wrong": explanation.wrong,
        "right": explanation.right,
        "see": f"{PAGE}#{code.lower()}",
    }
