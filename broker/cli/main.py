"""The group of all verbs, and what becomes of an error that a verb raises."""

from __future__ import annotations

import gc
import importlib
import sys

import click

from broker.errors import BrokerError, ConfigurationError, Unreachable

VERBS: dict[str, tuple[str, str]] = {
    "run": ("run", "Start the broker."),
    "demo": ("demo", "Start the broker with a simulated hospital."),
    "check": ("check", "Check mappings, and run the tests inside them."),
    "test": ("test", "Run the tests inside mappings."),
    "new": ("new", "Make a first mapping of a sender's messages."),
    "diff": ("diff", "Compare two versions of mappings over messages that came."),
    "show": ("show", "Show a mapping written out, or as an interface document."),
    "mappings": ("mapping_sets", "List, reload or roll back the mappings of the running broker."),
    "explain": ("explain", "Explain a problem that broker check reports."),
    "schema": ("schema", "Print the JSON Schema of mapping files or of the configuration, for editors."),
    "reference": ("reference", "Print a page of the reference: mapping, configuration or cli."),
    "try": ("try_message", "Show how a mapping translates one message."),
    "send": ("send", "Send HL7 messages over MLLP and print each answer."),
    "ping": ("ping", "Ask nodes and destinations whether they answer."),
    "messages": ("messages", "Find, show, replay or export received messages."),
    "orders": ("orders", "List orders."),
    "order": ("order", "Show the life of one order."),
    "worklist": ("worklist", "Show what a scanner would be given now."),
    "why": ("why", "Say why a scanner sees an order, or does not."),
    "deliveries": ("deliveries", "List, retry or cancel what is on its way out."),
    "studies": ("studies", "List studies; release, reject or link those that are in doubt."),
    "user": ("user", "Add a user of the console."),
    "token": ("token", "Add a token for the API."),
}
"""Verb -> its module in this package (which names its command ``command``) and what it does in one line."""


def _import_structlog() -> None:
    """Import structlog without rich, which it would load with all its languages for tracebacks that nobody prints."""
    if "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]
        importlib.import_module("structlog")
        del sys.modules["rich"]


class Verbs(click.Group):
    """The verbs, each imported when it is used, so that ``broker --help`` and every other verb start fast."""

    def list_commands(self, context: click.Context) -> list[str]:
        """List the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import the verb's command."""
        if name not in VERBS:
            return None
        gc.disable()  # what an import makes stays; no use looking for garbage in it, over and over
        _import_structlog()
        command = importlib.import_module(f"broker.cli.{VERBS[name][0]}").command
        gc.freeze()
        gc.enable()
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of verbs without importing any."""
        with formatter.section("Verbs"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="radbroker", prog_name="broker")
def broker() -> None:
    """Orders in, worklists, MPPS and images through, notices out, and every step explained.

    Exit codes: 0 ok, 1 a test or comparison failed, 2 usage, 69 a server it needs is unreachable, 70 the database
    writer died, 78 problems in configuration or mappings.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; an error that a verb raises is told on stderr."""
    try:
        broker.main(args=arguments, prog_name="broker")
    except BrokerError as error:
        click.echo(_told(error), err=True)
        sys.exit(_exit_code(error))


def _told(error: BrokerError) -> str:
    if "\n" in error.message:  # a list of problems, each with its place
        return error.message
    lines = [click.style("error: ", fg="red", bold=True) + error.message]
    if error.hint:
        lines.append(click.style("  hint: ", fg="cyan") + error.hint)
    return "\n".join(lines)


def _exit_code(error: BrokerError) -> int:
    match error:
        case ConfigurationError():
            return 78
        case Unreachable():
            return 69
        case _:
            return 1
