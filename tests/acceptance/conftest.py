"""A small hospital around one `broker run`; who stands around it is not ours: see tests/peers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from peers.his import Mllp, msa, order_group, orm
from peers.hospital import Hospital, all_orders
from peers.images import CT_IMAGE, ct_images, mpps_create, mpps_set
from peers.receivers import Archive, Bus, Ris
from peers.scanner import MPPS, Scanner
from peers.waiting import eventually, free_port, is_open, new_uid, stays

ROOT = Path(__file__).parents[2]

# The words of the stories: the fixture `story` gives them.
__all__ = [
    "CT_IMAGE",
    "MPPS",
    "Archive",
    "Bus",
    "Hospital",
    "Mllp",
    "Ris",
    "Scanner",
    "all_orders",
    "ct_images",
    "eventually",
    "free_port",
    "is_open",
    "mpps_create",
    "mpps_set",
    "msa",
    "new_uid",
    "order_group",
    "orm",
    "stays",
]


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """A hospital whose broker is not started yet: change `.configuration`, then `.start()`."""
    hl7_port, dicom_port, web_port = free_port(), free_port(), free_port()
    configuration: dict[str, Any] = {
        "site": "test",
        "timezone": "Europe/Madrid",
        "database": "sqlite:///var/broker.db",
        "spool": "var/spool",
        "mappings": str(ROOT / "mappings"),
        "hl7": {"listeners": {"his": {"host": "127.0.0.1", "port": hl7_port}}},
        "dicom": {"ae_title": "BROKER", "host": "127.0.0.1", "port": dicom_port},
        "studies": {},
        "destinations": {},
        "web": {"host": "127.0.0.1", "port": web_port, "auth": "none"},
    }
    made = Hospital(
        folder=tmp_path,
        configuration=configuration,
        hl7_port=hl7_port,
        dicom_port=dicom_port,
        web_port=web_port,
    )
    yield made
    made.stop()


@pytest.fixture
def story() -> Any:
    """Give the words of this file to the stories: messages, images, peers, waiting."""
    return sys.modules[__name__]
