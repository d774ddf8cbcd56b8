"""docker-compose.yml, the Dockerfile and what they name fit together; no container engine is asked."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from broker.config.load import load
from broker.config.model import Configuration

ROOT = Path(__file__).parents[2]


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The passwords, as an administrator makes them."""
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "config/compose/make-secrets", str(folder)], check=True, timeout=30)
    return folder


@pytest.fixture
def configuration(secrets: Path) -> Configuration:
    """What the broker in the container goes by."""
    file = ROOT / "config/compose/broker.yaml"
    return load(file, {"SECRETS": str(secrets), "BROKER__MAPPINGS": str(ROOT / "mappings")}).configuration


@pytest.fixture
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


@pytest.fixture
def instructions() -> list[tuple[str, str]]:
    """The Dockerfile, an instruction and what follows it."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_broker_finds_its_neighbours_by_the_names_of_their_services(
    configuration: Configuration, compose: dict[str, Any], secrets: Path
) -> None:
    password = (secrets / "postgres_password").read_text()
    assert configuration.database == f"postgresql://radbroker:{password}@postgres/radbroker"
    archive = json.loads((ROOT / "config/compose/orthanc.json").read_text())
    node = configuration.dicom.nodes[archive["DicomAet"]]
    assert (node.host, node.port) == ("orthanc", archive["DicomPort"])
    assert configuration.studies.forward_to == (archive["DicomAet"],)
    account = (secrets / "mqtt_passwords").read_text().strip()
    assert configuration.destinations["bus"].url == f"mqtt://{account}@mosquitto:1883"
    assert "listener 1883" in (ROOT / "config/compose/mosquitto.conf").read_text().splitlines()
    assert compose["services"].keys() == {"broker", "postgres", "mosquitto", "orthanc"}


def test_what_the_broker_listens_on_is_published_on_this_machine_alone(
    configuration: Configuration, compose: dict[str, Any], instructions: list[tuple[str, str]]
) -> None:
    ports = [listener.port for listener in configuration.hl7.listeners.values()]
    ports += [configuration.dicom.port, configuration.web.port]
    assert compose["services"]["broker"]["ports"] == [f"127.0.0.1:{port}:{port}" for port in ports]
    assert ("EXPOSE", " ".join(map(str, ports))) in instructions
    assert all("ports" not in one for name, one in compose["services"].items() if name != "broker")
    assert configuration.web.auth == "password"


def test_passwords_are_files_that_only_their_services_get(compose: dict[str, Any], secrets: Path) -> None:
    given = {name: set(service.get("secrets", ())) for name, service in compose["services"].items()}
    assert given["broker"] == {"database_url", "mqtt_url"}
    assert set.union(*given.values()) == compose["secrets"].keys() == {path.name for path in secrets.iterdir()}
    assert {secret["file"] for secret in compose["secrets"].values()} == {
        f"secrets/{path.name}" for path in secrets.iterdir()
    }
    assert secrets.stat().st_mode & 0o777 == 0o700
    for service in compose["services"].values():
        assert all(name.endswith("_FILE") for name in service.get("environment", {}) if "PASSWORD" in name)


def test_passwords_are_made_once(secrets: Path) -> None:
    before = (secrets / "database_url").read_text()
    again = subprocess.run([ROOT / "config/compose/make-secrets", str(secrets)], capture_output=True, timeout=30)
    assert (again.returncode, (secrets / "database_url").read_text()) == (1, before)


def test_everything_that_is_mounted_or_copied_is_there(
    compose: dict[str, Any], instructions: list[tuple[str, str]]
) -> None:
    mounts = [mount.split(":") for service in compose["services"].values() for mount in service.get("volumes", ())]
    for source, *_ in mounts:
        assert (ROOT / source).is_file() if source.startswith("./") else source in compose["volumes"]
    copied = [said.split()[:-1] for name, said in instructions if name == "COPY" and not said.startswith("--from")]
    shown = (ROOT / ".dockerignore").read_text().splitlines()
    for source in (one for sources in copied for one in sources):
        assert (ROOT / source).exists()
        assert f"!{source}" in shown


def test_the_image_runs_as_nobody_special_and_says_how_it_is(
    instructions: list[tuple[str, str]], configuration: Configuration
) -> None:
    last_stage = instructions[max(n for n, (name, _) in enumerate(instructions) if name == "FROM") :]
    said = dict(last_stage)
    assert said["USER"] == "radbroker"
    assert "--uid 10001" in said["RUN"]
    assert f"http://127.0.0.1:{configuration.web.port}/healthz" in said["HEALTHCHECK"]
    assert str(configuration.spool).startswith(f"{said['VOLUME']}/")
    assert json.loads(said["ENTRYPOINT"]) + json.loads(said["CMD"]) == ["broker", "run"]
    assert f"{said['WORKDIR']}/config/broker.yaml" in " ".join(text for name, text in last_stage if name == "COPY")
