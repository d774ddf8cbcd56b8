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
def hospital(tmp_path: Path, database_kind: str, database_url: str) -> Iterator[Hospital]:
    """A hospital whose broker is not started yet: change `.configuration`, then `.start()`."""
    is_file = database_kind == "sqlite"
    made = Hospital.planned(tmp_path, "sqlite:///var/broker.db" if is_file else database_url)
    yield made
    made.stop()


@pytest.fixture
def story() -> Any:
    """Give the words of this file to the stories: messages, images, peers, waiting."""
    return sys.modules[__name__]
