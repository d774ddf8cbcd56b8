"""What the broker needs of its machine is tried before anything is started."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from broker.config.load import Loaded
from broker.config.problems import InvalidConfiguration
from broker.config.resources import require_resources

Load = Callable[..., Loaded]

NO_PORTS = "hl7: {listeners: {his: {port: 0}}}\ndicom: {port: 0}\nweb: {port: 0}\n"


def told(found: Loaded) -> str:
    with pytest.raises(InvalidConfiguration) as invalid:
        require_resources(found)
    return invalid.value.message


def test_a_port_in_use_is_told_with_its_place(loaded: Load) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found = loaded(f"hl7: {{listeners: {{his: {{port: {port}}}}}}}\ndicom: {{port: 0}}\nweb: {{port: 0}}")
        assert f"broker.yaml:1:31: error: 127.0.0.1:{port} is in use" in told(found)


def test_free_ports_are_free_afterwards(loaded: Load) -> None:
    require_resources(loaded(NO_PORTS))


def test_folders_that_cannot_be_made_are_told_together(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    text = f"database: sqlite:///{tmp_path}/file/broker.db\nspool: {tmp_path}/file\n{NO_PORTS}"
    message = told(loaded(text))
    assert "broker.yaml:1:11: error" in message
    assert "broker.yaml:2:8: error" in message
    assert message.count("is not a folder") == 2


def test_a_folder_that_cannot_be_written_is_told(loaded: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert f"this user cannot write in {tmp_path}" in told(loaded(f"spool: {tmp_path}/a/b\n{NO_PORTS}"))


def test_a_folder_that_the_system_does_not_make_is_told(loaded: Load) -> None:
    text = f"database: sqlite:////proc/radbroker/var/broker.db\nspool: /proc/radbroker\n{NO_PORTS}"
    message = told(loaded(text))
    assert "broker.yaml:1:11: error: " in message
    assert "broker.yaml:2:8: error: " in message
    assert "/proc" in message


def test_a_certificate_that_is_none_is_told(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_text("no certificate")
    pem = f"{tmp_path}/a.pem"
    tls = f"tls: {{certificate: {pem}, key: {pem}, client_ca: {pem}}}"
    message = told(loaded(f"hl7: {{listeners: {{his: {{port: 0, {tls}}}}}}}\ndicom: {{port: 0}}\nweb: {{port: 0}}"))
    assert "certificate and key cannot be used" in message
    assert "a PEM file of one or more certificates" in message


def test_a_missing_driver_is_told(loaded: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.config.resources.find_spec", lambda name: None)
    assert "driver is not installed" in told(loaded(f"database: postgresql://u:p@127.0.0.1/x\n{NO_PORTS}"))
