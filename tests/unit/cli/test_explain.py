"""What ``broker explain`` says of a code."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from broker.cli.main import broker


@pytest.mark.parametrize("code", ["M043", "m043"])
def test_a_problem_of_a_mapping_is_explained(code: str) -> None:
    told = CliRunner().invoke(broker, ["explain", code])
    assert told.exit_code == 0
    assert "the types do not fit" in told.output


@pytest.mark.parametrize("code", ["C021", "c044"])
def test_who_asks_for_a_code_of_the_configuration_hears_where_it_is_explained(code: str) -> None:
    told = CliRunner().invoke(broker, ["explain", code])
    assert told.exit_code == 2
    assert f"{code.upper()} is of the configuration" in told.output
    assert "docs/reference/configuration.md" in told.output


def test_who_asks_for_an_unknown_code_hears_the_known_ones() -> None:
    told = CliRunner().invoke(broker, ["explain", "M999"])
    assert told.exit_code == 2
    assert "M043" in told.output
