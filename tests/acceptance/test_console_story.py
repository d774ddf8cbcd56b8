"""Looking at a running broker from outside: the command line, HTTP, the page in a browser, the log."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from peers.browser import browse

Verb = Callable[..., "subprocess.CompletedProcess[str]"]
Look = Callable[[str], str]


@pytest.fixture
def verb(hospital: Any) -> Verb:
    """Run a verb of the command line with the hospital's configuration."""

    def run(*arguments: str, input: str | None = None, with_config: bool = True) -> subprocess.CompletedProcess[str]:
        given = ["--config", str(hospital.folder / "broker.yaml")] if with_config else []
        command = [sys.executable, "-m", "broker", *arguments, *given]
        return subprocess.run(command, input=input, capture_output=True, text=True, timeout=60, check=False)

    return run


@pytest.fixture
def look(hospital: Any, tmp_path: Path) -> Look:
    """Open a page of the broker's in Chromium; give what has become of it after its scripts ran."""
    return lambda path: browse(f"http://127.0.0.1:{hospital.web_port}{path}", tmp_path)


def ask(hospital: Any, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{hospital.web_port}{path}",
        method=method,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_command_line_sends_an_order_and_follows_it(hospital: Any, story: Any, verb: Verb, tmp_path: Path) -> None:
    hospital.configuration["dicom"]["nodes"] = {"MR1": {"modality": "MR"}}
    hospital.start()
    (tmp_path / "first.hl7").write_text(story.orm("A41"))
    sent = verb("send", str(tmp_path / "first.hl7"), "--to", f"127.0.0.1:{hospital.hl7_port}", with_config=False)
    assert (sent.returncode, " AA" in sent.stdout) == (0, True)
    listed = verb("worklist", "--ae", "CT1").stdout
    assert "A41" in listed
    assert "IBANEZ" not in listed
    assert "IBANEZ^NURIA" in verb("worklist", "--ae", "CT1", "--show-phi").stdout
    assert "order.scheduled" in verb("order", "A41").stdout
    assert json.loads(verb("orders", "--json").stdout)["items"][0]["accession"] == "A41"
    assert verb("why", "--ae", "CT1", "--accession", "A41").stdout.startswith("yes")
    not_there = verb("why", "--ae", "MR1", "--accession", "A41").stdout
    assert "its modality is CT, that of MR1 is MR" in not_there


def test_exit_codes_tell_a_wrong_question_from_a_missing_order_and_a_broker_that_is_gone(
    hospital: Any, story: Any, verb: Verb
) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))
    assert verb("orders", "--status", "nonsense").returncode == 2
    assert verb("order", "A2").returncode == 1
    hospital.terminate()
    offline = verb("order", "A1")
    assert (offline.returncode, "order.scheduled" in offline.stdout) == (0, True)
    assert verb("send", os.devnull, "--to", f"127.0.0.1:{hospital.hl7_port}", with_config=False).returncode == 2
    gone = hospital.folder / "gone.json"
    gone.write_text(json.dumps({**hospital.configuration, "database": "sqlite:///var/gone.db"}))
    assert verb("order", "A1", "--config", str(gone), with_config=False).returncode == 69


def test_every_mistake_of_a_configuration_is_told_before_anything_starts(hospital: Any, verb: Verb) -> None:
    (hospital.folder / "broker.yaml").write_text("sit: x\nhl7: {listeners: {his: {port: x}}}\nspool: /dev/null\n")
    refused = verb("run")
    assert refused.returncode == 78
    for told in ("broker.yaml:1:1: error: unknown key 'sit'", "did you mean 'site'?", "broker.yaml:2:31: error"):
        assert told in refused.stderr
    assert not (hospital.folder / "var").exists()


def test_a_second_broker_on_the_same_database_is_refused(hospital: Any, story: Any, verb: Verb) -> None:
    hospital.start()
    ports = {"hl7": {"listeners": {"his": {"port": 0}}}, "dicom": {"port": 0}, "web": {"port": 0}}
    second = hospital.folder / "second.json"
    second.write_text(json.dumps({**hospital.configuration, **ports}))
    refused = verb("run", "--config", str(second), with_config=False)
    assert refused.returncode == 78
    assert "is in use by another broker" in refused.stderr


def test_with_a_password_only_users_and_tokens_come_in(hospital: Any, verb: Verb, database_kind: str) -> None:
    hospital.configuration["web"]["auth"] = "password"
    hospital.start()
    private = [path for path in (hospital.folder / "var").rglob("*") if path.name in ("broker.sock", "broker.db")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in private} == {0o600}
    assert hospital.folder / "var/broker.db" in private or database_kind == "postgresql"
    assert ask(hospital, "/api/v1/orders")[0] == 401
    assert ask(hospital, "/")[0] == 401
    assert verb("user", "add", "ana", "--password-stdin", input="correct horse\n").returncode == 0
    token = verb("token", "add", "reports").stdout.strip()
    for name_and_password, status in (("ana:correct horse", 200), ("ana:wrong", 401), ("eva:correct horse", 401)):
        basic = base64.b64encode(name_and_password.encode()).decode()
        assert ask(hospital, "/api/v1/orders", Authorization=f"Basic {basic}")[0] == status
    assert ask(hospital, "/", Authorization=f"Bearer {token}")[0] == 200
    assert ask(hospital, "/", Authorization=f"Bearer {token}x")[0] == 401
    assert ask(hospital, "/readyz")[0] == 200
    assert token not in hospital.read_log()
    assert "correct horse" not in hospital.read_log()


def test_an_accession_number_may_hold_any_character_or_name_several_orders(hospital: Any, story: Any) -> None:
    hospital.start()
    for accession in ("A/1 ?#%2F", "..", "A2"):
        hospital.send(story.orm(accession, procedure="R1", step="S1"))
    hospital.send(story.orm("A2", patient="4711", number="X2", procedure="R1", step="S1").replace("HOSPITAL", "CLINIC"))
    for path in ("A%2F1%20%3F%23%252F", "%2E%2E"):
        assert ask(hospital, f"/api/v1/orders/{path}")[0] == 200
        assert ask(hospital, f"/orders/{path}")[0] == 200
    status, body = ask(hospital, "/api/v1/orders/A2")
    assert (status, len(json.loads(body)["candidates"])) == (409, 2)
    assert ask(hospital, "/orders/A2")[0] == 409


def test_the_page_shows_the_day_in_a_browser_and_runs_nothing_of_a_sender(
    hospital: Any, story: Any, look: Look
) -> None:
    hospital.configuration["destinations"] = {"bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{story.free_port()}"}}
    hospital.configuration["timezone"] = "UTC"
    hospital.start()
    hostile = "<script>document.title='caught'</script>^<img src=x onerror=document.title='caught'>"
    day = datetime.now(UTC).strftime("%Y%m%d120000")
    code = "X^<b onmouseover=alert(1)>CT</b>^L"
    hospital.send(story.orm("<i>A1</i>", procedure="R1", step="S1", name=hostile, start=day, code=code))
    story.eventually(lambda: "does not answer" in ask(hospital, "/")[1])
    page = look("/")
    for shown in ("<title>radbroker test</title>", "&lt;i&gt;A1&lt;/i&gt;", "&lt;b onmouseover", "bus does not answer"):
        assert shown in page
    assert "caught" not in page
    life = look("/orders/%3Ci%3EA1%3C%2Fi%3E")
    assert "order.scheduled" in life
    assert "<title>&lt;i&gt;A1&lt;/i&gt;" in life
    assert "<i>" not in life


def test_an_image_on_its_way_cannot_be_cancelled_a_notice_can(
    hospital: Any, story: Any, verb: Verb, tmp_path: Path
) -> None:
    pacs, bus = story.free_port(), story.free_port()
    hospital.configuration["dicom"]["nodes"] = {"PACS": {"host": "127.0.0.1", "port": pacs, "role": "archive"}}
    hospital.configuration["studies"] = {"forward_to": ["PACS"]}
    hospital.configuration["destinations"] = {
        "bus": {"type": "mqtt", "url": f"mqtt://127.0.0.1:{bus}", "events": ["study.unscheduled"]}
    }
    hospital.start()
    hospital.scanner().store(tmp_path / "images", story.ct_images({"0010,0020": "E1", "0010,0010": "E^ONE"}, 1))

    def waiting(destination: str) -> Any:
        return hospital.get(f"/api/v1/deliveries?destination={destination}")["items"]

    (image,) = story.eventually(lambda: waiting("PACS"))
    refused = verb("deliveries", "cancel", image["id"])
    assert refused.returncode == 1
    assert "objects wait until the archive has them" in refused.stdout
    (notice,) = story.eventually(lambda: waiting("bus"))
    assert verb("deliveries", "cancel", notice["id"]).returncode == 0
    archive = story.Archive(pacs)
    hospital.stoppers.append(archive.stop)
    assert verb("deliveries", "retry", image["id"]).returncode in (0, 1)
    story.eventually(lambda: archive.objects, 30)


def test_a_log_holds_no_patient(hospital: Any, story: Any, tmp_path: Path) -> None:
    hospital.start()
    hospital.send(story.orm("A1", name="GEHEIMRAT^OTTILIE", patient="4711471147"))
    hospital.send(story.orm("A1", "XO", name="GEHEIMRAT^OTTILIE", patient="9999999999", issuer=""))
    hospital.send(story.orm("A2", name="GEHEIMRAT^OTTILIE", patient=""))
    (entry,) = hospital.findscu("0008,0050=A1")
    scanner, uid, images = hospital.scanner(), story.new_uid(), story.ct_images(entry, 1, PatientName="GEHEIMRAT^OTTO")
    scanner.start_step(entry, uid, patient_id="9999999999")
    scanner.store(tmp_path / "images", images)
    scanner.end_step(uid, images)
    assert hospital.terminate() == 0
    log = hospital.read_log()
    assert "broker.stopped" in log
    for secret in ("GEHEIMRAT", "OTTILIE", "OTTO", "4711471147", "9999999999", "19790312"):
        assert secret not in log
