"""Who may open an association, by the configuration."""

from __future__ import annotations

from typing import Any

import pytest

from broker.config.model import Dicom
from broker.wiring import hosts, refusal


@pytest.mark.parametrize(
    ("callers", "node", "calling", "peer", "is_refused"),
    [
        ("any", {}, "STRANGER", "10.0.0.9", False),
        ("known", {}, "STRANGER", "10.0.0.9", True),
        ("known", {}, "CT1", "10.0.0.9", False),
        ("known", {"host": "10.0.0.1", "match": "host"}, "CT1", "10.0.0.9", True),
        ("known", {"host": "10.0.0.1", "match": "host"}, "CT1", "10.0.0.1", False),
        ("any", {"host": "localhost", "match": "host"}, "CT1", "127.0.0.1", False),
        ("any", {"host": "no-such-host.invalid", "match": "host"}, "CT1", "127.0.0.1", True),
    ],
)
def test_who_may_call(callers: str, node: dict[str, Any], calling: str, peer: str, is_refused: bool) -> None:
    dicom = Dicom.model_validate({"callers": callers, "nodes": {"CT1": node}})

    assert (refusal(dicom, hosts(dicom), calling, peer) is not None) is is_refused
