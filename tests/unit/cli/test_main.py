"""The group of verbs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from broker.cli.main import VERBS, broker, main


def test_help_names_every_verb_with_its_summary() -> None:
    shown = CliRunner().invoke(broker, ["--help"]).output
    assert [verb for verb in VERBS if verb not in shown] == []
    assert "Send HL7 messages over MLLP" in shown


def test_help_imports_no_verb_and_no_heavy_library() -> None:
    script = (
        "import sys; from broker.cli.main import broker\n"
        "try: broker.main(['--help'], standalone_mode=False)\n"
        "finally: print([m for m in sys.modules if m in ('pydantic', 'httpx', 'rich', 'sqlalchemy', 'broker.app')])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == "[]"


def test_a_start_imports_structlog_without_rich() -> None:
    script = (
        "import sys; from broker.cli.main import broker; broker.main(['run', '--help'], standalone_mode=False)\n"
        "import broker.app; print([m for m in ('structlog', 'rich') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.splitlines()[-1] == "['structlog']"


def test_an_unknown_verb_is_a_usage_error() -> None:
    with pytest.raises(SystemExit) as exit:
        main(["frobnicate"])
    assert exit.value.code == 2
