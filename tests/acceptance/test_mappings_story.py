"""Mappings of a running broker: changed, broken, gone back to, without a restart and without a lost order."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def verb(hospital: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "broker", *arguments, "--config", str(hospital.folder / "broker.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_mapping_is_changed_broken_mended_and_gone_back_to_while_orders_come(
    hospital: Any, story: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", folder)
    hospital.configuration["mappings"] = str(folder)
    hospital.start()
    hospital.send(story.orm("A1"))
    first = hospital.get("/api/v1/mappings")
    child = folder / "sites" / "north.yaml"
    child.parent.mkdir()

    child.write_text("mapping: sites/north\nextends: ihe/orm-to-mwl\nset: {PatientComments: {value: seen by north}}\n")
    changed = story.eventually(lambda: (now := hospital.get("/api/v1/mappings")) and len(now["mappings"]) == 3 and now)
    assert changed["problem"] is None
    hospital.send(story.orm("A2"))
    (message,) = hospital.get("/api/v1/messages?limit=1")["items"]
    assert message["mapping"].startswith("sites/north@")

    child.write_text("mapping: sites/north\nextends: ihe/orm-to-mlw\n")
    broken = story.eventually(lambda: (now := hospital.get("/api/v1/mappings"))["problem"] and now)
    assert "sites/north.yaml:2:10: M021" in broken["problem"]
    assert hospital.get_status("/readyz") == 200
    assert "M021" in hospital.get_text("/")
    assert "radbroker_mapping_problems 1.0" in hospital.get_text("/metrics")
    assert story.msa(hospital.send(story.orm("A3")))[1] == "AA"
    done = verb(hospital, "mappings", "reload")
    assert (done.returncode, "did you mean 'ihe/orm-to-mwl'" in done.stdout) == (78, True)

    shutil.rmtree(folder / "sites")
    story.eventually(lambda: hospital.get("/api/v1/mappings")["problem"] is None)
    assert verb(hospital, "mappings", "rollback", changed["sets"][0]["digest"]).returncode == 0
    listed = json.loads(verb(hospital, "mappings", "list", "--json").stdout)
    assert [one["name"] for one in listed["mappings"]][-1] == "sites/north"
    assert (listed["sets"][0]["digest"], listed["sets"][0]["instead_of"]) == (
        changed["sets"][0]["digest"],
        first["sets"][0]["digest"],
    )
    hospital.restart()
    assert "went back" in hospital.get("/api/v1/mappings")["problem"]
    assert {order["accession"] for order in hospital.get("/api/v1/orders")["items"]} == {"A1", "A2", "A3"}
    assert "mapping.not_loaded" in hospital.read_log()
