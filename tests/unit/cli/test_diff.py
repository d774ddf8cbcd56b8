"""``broker diff`` over a folder of messages, against a folder and against a git revision."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli.diff import command
from broker.cli.mapping_sets import todo_

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with mappings, changed since its one commit."""
    shutil.copytree(ROOT / "tests" / "mappings", tmp_path / "mappings", ignore=shutil.ignore_patterns("*.py"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "mappings")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "before")
    file = tmp_path / "mappings" / "sites" / "north.yaml"
    file.write_text(file.read_text().replace("ZOR-2, clean: [{remove_prefix: ACC-}, {remove: '-'}]", "ZOR-2"))
    return tmp_path / "mappings"


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, timeout=30)


def diff(folder: Path, *arguments: str) -> Result:
    given = [
        "--mappings",
        str(folder),
        "--config",
        str(ROOT / "config/broker.yaml"),
        "--corpus",
        str(folder / "samples"),
    ]
    return CliRunner().invoke(command, [*given, *arguments])


@pytest.mark.parametrize("by_folder", [True, False])
def test_a_change_is_told_against_a_revision_and_a_folder(folder: Path, by_folder: bool) -> None:
    against = str(ROOT / "tests" / "mappings") if by_folder else "HEAD"

    done = diff(folder, "--against", against, "sites/north")

    assert done.exit_code == 1, done.output
    assert "1 message(s) compared" in done.output
    assert "north_mr.hl7" in done.output
    assert "2026040277" not in done.output


def test_json_names_every_change_and_masks_it_unless_asked(folder: Path) -> None:
    found: Any = json.loads(diff(folder, "--against", "HEAD", "--json").stdout)
    shown: Any = json.loads(diff(folder, "--against", "HEAD", "--json", "--show-phi").stdout)

    assert found["compared"] == 3
    (change,) = shown["changes"]
    assert (change["attribute"], change["before"], change["after"]) == (
        "AccessionNumber",
        "2026040277",
        "ACC-20260402-77",
    )
    assert found["changes"] == [{**change, "before": "***277", "after": "***-77"}]


def test_no_difference_is_exit_code_0(folder: Path) -> None:
    done = diff(folder, "--against", str(folder))

    assert (done.exit_code, "no difference" in done.output) == (0, True)


@pytest.mark.parametrize("revision", ["no-such-revision", "--output=x"])
def test_a_revision_that_is_not_there_is_told(folder: Path, revision: str) -> None:
    done = diff(folder, f"--against={revision}")

    assert "no version" in str(done.exception)
    assert not (folder / "x").exists()


def todo(folder: Path, *arguments: str) -> Result:
    config = ["--config", str(ROOT / "config/broker.yaml")]
    return CliRunner().invoke(todo_, ["--mappings", str(folder), *config, *arguments])


def test_unknown_codes_and_bad_values_are_a_to_do_list(tmp_path: Path) -> None:
    mappings = Path(shutil.copytree(ROOT / "mappings", tmp_path / "mappings"))
    order = "MSH|^~\\&|HIS|H|||20260401||ORM^O01|{n}|P|2.3\rPID|||7||A^B||{born}|{sex}\rORC|{control}|P{n}\rOBR||P{n}||NEW1\r"
    said = [("1979", "F", "NW"), ("19790312", "Q", "NW"), ("19790312", "F", "ZZ")]
    texts = [order.format(n=n, born=born, sex=sex, control=code) for n, (born, sex, code) in enumerate(said, 1)]
    corpus = tmp_path / "messages.hl7"
    corpus.write_text("".join(texts))

    shown, as_json = todo(mappings, "--corpus", str(corpus)), todo(mappings, "--corpus", str(corpus), "--json")

    found = [
        (one["count"], one["target"].rpartition(".")[2], one["text"].partition(" (")[0])
        for one in json.loads(as_json.output)
    ]
    assert found == [
        (2, "Modality", "'NEW1' is not in modality_by_procedure"),
        (1, "PatientBirthDate", "'***' is not a date"),
        (1, "PatientSex", "'Q' is not in sex"),
        (1, "action", "'ZZ' is not in action"),
    ]
    assert "NEW1" in shown.output
    assert "1979" not in shown.output


def test_what_has_been_mended_is_no_longer_to_do(tmp_path: Path) -> None:
    mappings = Path(shutil.copytree(ROOT / "mappings", tmp_path / "mappings"))
    (mappings / "tables" / "modality_by_procedure.csv").write_text("procedure,modality\nNEW1,CT\n")
    corpus = tmp_path / "messages.hl7"
    corpus.write_text("MSH|^~\\&|HIS|H|||20260401||ORM^O01|1|P|2.3\rPID|||7||A^B\rORC|NW|P1\rOBR||P1||NEW1\r")

    assert todo(mappings, "--corpus", str(corpus)).output.strip() == "nothing to do"
