"""A HIS: its MLLP connection and its messages."""

from __future__ import annotations

import socket

_control = iter(range(1, 1_000_000))


class Mllp:
    """A HIS: one connection, one message at a time."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def send(self, text: str) -> str:
        """Send a message, give the answer."""
        self.send_raw(b"\x0b" + text.replace("\n", "\r").encode() + b"\x1c\r")
        return self.receive()

    def send_raw(self, content: bytes) -> None:
        self.socket.sendall(content)

    def receive(self) -> str:
        """Give one answer; `` when the broker closed."""
        content = b""
        while b"\x1c\r" not in content:
            chunk = self.socket.recv(65536)
            if not chunk:
                return ""
            content += chunk
        return content.partition(b"\x1c\r")[0].lstrip(b"\x0b").decode()

    def close(self) -> None:
        self.socket.close()


def orm(accession: str = "A1", control: str = "NW", *, group: str | None = None, **values: str) -> str:
    """Make an ORM^O01 for one CT order; values by name: patient, name, start, procedure, step, code, station ..."""
    v = {
        "patient": "77041",
        "issuer": "GENERAL",
        "name": "IBANEZ^NURIA",
        "birth": "19790312",
        "sex": "F",
        "status": "SC" if control == "NW" else "",
        "start": "20260401101500",
        "modality": "CT",
        "number": accession,
        "version": "2.3.1",
        **values,
    }
    lines = [
        f"MSH|^~\\&|HIS|HOSPITAL|BROKER|RAD|20260401100000||ORM^O01|M{next(_control)}|P|{v['version']}||||||UNICODE UTF-8",
        f"PID|1||{v['patient']}^^^{v['issuer']}||{v['name']}||{v['birth']}|{v['sex']}",
        "PV1|1|O|RAD^R12",
        group or order_group(accession, control, **v),
        *([f"ZDS|{v['study']}^HIS^Application^DICOM"] if "study" in v else []),
    ]
    return "\n".join(lines) + "\n"


def order_group(accession: str, control: str = "NW", **v: str) -> str:
    """Make one ORC/OBR pair."""
    number = v.get("number", accession)
    step, procedure = v.get("step", f"SP{accession}"), v.get("procedure", f"RP{accession}")
    start = v.get("start", "20260401101500")
    return (
        f"ORC|{control}|P{number}^HIS|F{number}^RIS||{v.get('status', 'SC')}||^^^{start}^^R\n"
        f"OBR|1|P{number}^HIS|F{number}^RIS|{v.get('code', 'CTABD^CT abdomen^L')}||||||||||||||{accession}"
        f"|{procedure}|{step}||||{v.get('modality', 'CT')}|||^^^{start}^^R"
    )


def msa(answer: str) -> list[str]:
    """Give the fields of MSA: [MSA, code, control id, ...]."""
    return next((line.split("|") for line in answer.split("\r") if line.startswith("MSA")), [])
