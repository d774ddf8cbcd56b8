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


def names(listed: Any) -> list[str]:
    return [one["name"] for one in listed["mappings"]]


def test_a_mapping_is_changed_broken_mended_and_gone_back_to_while_orders_come(
    hospital: Any, story: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", folder, ignore=shutil.ignore_patterns("examples"))
    hospital.configuration["mappings"] = str(folder)
    hospital.start()
    hospital.send(story.orm("A1"))
    first = hospital.get("/api/v1/mappings")
    child = folder / "sites" / "north.yaml"
    child.parent.mkdir()

    child.write_text("mapping: sites/north\nextends: ihe/orm-to-mwl\nset: {PatientComments: {value: seen by north}}\n")
    changed = story.eventually(
        lambda: (now := hospital.get("/api/v1/mappings")) and "sites/north" in names(now) and now
    )
    assert changed["problem"] is None
    compared = verb(hospital, "diff", "sites/north", "--against", first["sets"][0]["digest"])
    assert (compared.returncode, "PatientComments" in compared.stdout) == (1, True), compared.stderr
    unknown = verb(hospital, "diff", "--against", "abcdef01")
    assert (unknown.returncode, "no kept set abcdef01" in unknown.stderr) == (78, True), unknown.stderr
    hospital.send(story.orm("A2"))
    (message,) = hospital.get("/api/v1/messages?limit=1")["items"]
    assert message["mapping"].startswith("sites/north@")

    child.write_text("mapping: sites/north\nextends: ihe/orm-to-mlw\n")
    broken = story.eventually(lambda: (now := hospital.get("/api/v1/mappings"))["problem"] and now)
    assert "sites/north.yaml:2:10: M021" in broken["problem"]
    assert hospital.get_status("/readyz") == 200
    assert "M021" in hospital.get_text("/")
    assert "M021" in hospital.get_text("/mappings")
    assert "radbroker_mapping_problems 1.0" in hospital.get_text("/metrics")
    series = 'radbroker_mapping_unknown_codes{mapping="ihe/orm-to-mwl"}'
    story.eventually(lambda: series in hospital.get_text("/metrics"))
    assert story.msa(hospital.send(story.orm("A3")))[1] == "AA"
    done = verb(hospital, "mappings", "reload")
    assert (done.returncode, "did you mean 'ihe/orm-to-mwl'" in done.stdout) == (78, True)

    shutil.rmtree(folder / "sites")
    story.eventually(lambda: hospital.get("/api/v1/mappings")["problem"] is None)
    assert verb(hospital, "mappings", "rollback", changed["sets"][0]["digest"]).returncode == 0
    listed = json.loads(verb(hospital, "mappings", "list", "--json").stdout)
    assert "sites/north" in names(listed)
    assert (listed["sets"][0]["digest"], listed["sets"][0]["instead_of"]) == (
        changed["sets"][0]["digest"],
        first["sets"][0]["digest"],
    )
    hospital.restart()
    assert "went back" in hospital.get("/api/v1/mappings")["problem"]
    assert {order["accession"] for order in hospital.get("/api/v1/orders")["items"]} == {"A1", "A2", "A3"}
    assert "mapping.not_loaded" in hospital.read_log()


def test_a_message_that_was_parked_is_found_tried_replayed_and_exported(
    hospital: Any, story: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "mappings"
    shutil.copytree(ROOT / "mappings", folder, ignore=shutil.ignore_patterns("examples"))
    hospital.configuration["mappings"] = str(folder)
    hospital.configuration["hl7"]["listeners"]["his"]["on_refused"] = "park"
    hospital.start()
    for accession in ("A2345678901234567", "A3"):
        hospital.send(story.orm(accession, step="S1", procedure="R1"))
    listed = json.loads(verb(hospital, "messages", "search", "--state", "parked", "--json").stdout)
    (parked,) = listed["items"]
    for filters in (
        ["--accession", "A2345678901234567"],
        ["--patient", "77041"],
        ["--text", "ibanez"],
        ["--sender", "his"],
    ):
        found = json.loads(verb(hospital, "messages", "search", "--json", *filters).stdout)["items"]
        assert parked["id"] in [message["id"] for message in found], filters
    assert json.loads(verb(hospital, "messages", "search", "--patient", "7704", "--json").stdout)["items"] == []

    shown = verb(hospital, "messages", "show", parked["id"], "--show-phi").stdout
    assert "REJECTED  AccessionNumber" in shown
    assert "IBANEZ" in shown
    (taken,) = json.loads(verb(hospital, "messages", "search", "--state", "accepted", "--json").stdout)["items"]
    assert "PN 'IBANEZ^NURIA'" in verb(hospital, "messages", "show", taken["id"], "--show-phi").stdout
    masked = verb(hospital, "messages", "show", taken["id"]).stdout
    assert ("PN 'I***'" in masked, "IBANEZ" in masked) == (True, False)
    assert "IBANEZ" not in verb(hospital, "messages", "show", parked["id"]).stdout

    dry = verb(hospital, "messages", "replay", parked["id"], "--dry-run")
    assert (dry.returncode, "would be parked" in dry.stdout) == (1, True)
    child = folder / "sites" / "short.yaml"
    child.parent.mkdir()
    child.write_text(
        "mapping: sites/short\nextends: ihe/orm-to-mwl\nset: {AccessionNumber: {from: OBR-18, clean: [{last: 16}]}}\n"
    )
    assert verb(hospital, "mappings", "reload").returncode == 0
    dry = verb(hospital, "messages", "replay", "--state", "parked", "--dry-run")
    assert (dry.returncode, "would be accepted (order.scheduled)" in dry.stdout) == (0, True)
    assert hospital.get_status("/api/v1/orders/2345678901234567") == 404
    assert verb(hospital, "messages", "replay", "--state", "parked").returncode == 0
    assert hospital.order("2345678901234567")["status"] == "scheduled"
    again = verb(hospital, "messages", "replay", parked["id"])
    assert again.returncode == 0
    assert len(hospital.get("/api/v1/orders")["items"]) == 2
    assert hospital.get(f"/api/v1/messages/{parked['id']}")["state"] == "accepted"
    hospital.send(story.orm("A3", "XO", start="20260402143000", step="S1", procedure="R1"))
    overtaken = json.loads(verb(hospital, "messages", "search", "--accession", "A3", "--json").stdout)["items"][-1]
    refused = verb(hospital, "messages", "replay", overtaken["id"])
    assert (refused.returncode, "has changed its order" in refused.stdout) == (1, True)

    samples = tmp_path / "samples"
    assert verb(hospital, "messages", "export", "--type", "ORM^O01", "--as-sample", str(samples)).returncode == 0
    texts = [path.read_text() for path in sorted(samples.iterdir())]
    assert len(texts) == 3
    assert not any(secret in text for text in texts for secret in ("IBANEZ", "77041", "A2345678901234567"))
    assert len({text.split("|PID|")[-1].split("PID|")[1].split("|")[3] for text in texts}) == 1
