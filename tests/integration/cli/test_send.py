"""``broker send`` to a receiver on a socket."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli.main import broker, main

ORDERS = "".join(f"MSH|^~\\&|HIS|H|||20260401||ORM^O01|{number}|P|2.5\nPID|1||77\n" for number in ("M1", "BAD", "M3"))


class Receiver(socketserver.StreamRequestHandler):
    """Answers AA, but AE to the message BAD."""

    def handle(self) -> None:
        pending = b""
        while chunk := self.request.recv(65536):
            pending += chunk
            while b"\x1c\r" in pending:
                message, _, pending = pending.partition(b"\x1c\r")
                control_id = message.split(b"|")[9].decode()
                code = "AE" if control_id == "BAD" else "AA"
                answer = f"\x0bMSH|^~\\&|R|||||||ACK|{control_id}X|P|2.5\rMSA|{code}|{control_id}|as told\r\x1c\r"
                self.wfile.write(answer.replace("|||||||ACK", "||||||ACK").encode())


@pytest.fixture
def receiver() -> Iterator[str]:
    """Where it listens, as host:port."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Receiver) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(10)


def test_each_answer_is_printed_in_order(receiver: str, tmp_path: Path) -> None:
    (tmp_path / "orders.hl7").write_text(ORDERS)
    result = CliRunner().invoke(broker, ["send", str(tmp_path / "orders.hl7"), "--to", receiver])
    heads = [line.removeprefix(str(tmp_path)) for line in result.output.splitlines() if not line.startswith("  ")]
    assert heads == [
        "/orders.hl7  ORM^O01  M1  AA  as told",
        "/orders.hl7  ORM^O01  BAD  AE  as told",
        "/orders.hl7  ORM^O01  M3  AA  as told",
    ]
    assert "  MSA|AE|BAD|as told" in result.output
    assert result.exit_code == 1


def test_the_standard_input_can_be_sent_and_answers_are_json_on_demand(receiver: str) -> None:
    message = ORDERS.split("MSH|")[1]
    result = CliRunner().invoke(broker, ["send", "-", "--to", receiver, "--json"], input=f"MSH|{message}")
    assert result.exit_code == 0
    assert [(one["control_id"], one["code"]) for one in json.loads(result.output)] == [("M1", "AA")]


def test_no_receiver_is_exit_code_69(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "orders.hl7").write_text(ORDERS)
    with pytest.raises(SystemExit) as exit:
        main(["send", str(tmp_path / "orders.hl7"), "--to", "127.0.0.1:1"])
    assert exit.value.code == 69
    assert "127.0.0.1:1 cannot be connected" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["nowhere", "host:", "host:0", "host:70000", ":2575"])
def test_a_wrong_address_is_a_usage_error(tmp_path: Path, to: str) -> None:
    (tmp_path / "orders.hl7").write_text(ORDERS)
    assert CliRunner().invoke(broker, ["send", str(tmp_path / "orders.hl7"), "--to", to]).exit_code == 2
