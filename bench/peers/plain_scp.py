"""A plain SCP as pynetdicom's documentation shows it: ``python bench/peers/plain_scp.py PORT WORKLISTS IMAGES``.

C-ECHO, worklist from the files of a folder (read once, held in memory), MPPS in memory, C-STORE to files without sync.
With TCP_NODELAY in the environment its sockets have that set, as DCMTK's do then.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pynetdicom import AE, AllStoragePresentationContexts, evt

WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
VERIFICATION = "1.2.840.10008.1.1"


def matches(asked: Dataset, item: Dataset) -> bool:
    """Say whether *item* has the values asked for: single values, and those of the first item of a sequence."""
    for element in asked:
        found = item.get(element.tag)
        if element.VR == "SQ":
            if element.value and not (found and any(matches(element.value[0], one) for one in found.value)):
                return False
        elif element.value and (found is None or found.value != element.value):
            return False
    return True


def answer_of(asked: Dataset, item: Dataset) -> Dataset:
    """Give the keys asked for, with the values of *item*."""
    answer = Dataset()
    for element in asked:
        found = item.get(element.tag)
        if element.VR == "SQ" and element.value and found:
            answer.add_new(element.tag, "SQ", [answer_of(element.value[0], one) for one in found.value])
        else:
            answer.add_new(element.tag, element.VR, found.value if found is not None else None)
    return answer


def main(port: int, worklists: Path, images: Path) -> None:
    """Serve for ever."""
    items = [dcmread(path) for path in sorted(worklists.glob("*.wl"))]
    performed: dict[str, Dataset] = {}

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        for item in items:
            if matches(asked, item):
                yield 0xFF00, answer_of(asked, item)

    def create(event: Any) -> tuple[int, Dataset]:
        performed[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, event.attribute_list

    def change(event: Any) -> tuple[int, Dataset]:
        performed[event.request.RequestedSOPInstanceUID].update(event.modification_list)
        return 0x0000, event.modification_list

    def store(event: Any) -> int:
        path = images / f"{event.request.AffectedSOPInstanceUID}.dcm"
        path.write_bytes(event.encoded_dataset())
        return 0x0000

    def opened(event: Any) -> None:
        if os.environ.get("TCP_NODELAY"):
            event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    entity = AE(ae_title="SERVER")
    entity.maximum_associations = 100
    entity.maximum_pdu_size = 131_072
    for context in (*(one.abstract_syntax for one in AllStoragePresentationContexts), WORKLIST, MPPS, VERIFICATION):
        entity.add_supported_context(context)
    handlers = [
        (evt.EVT_CONN_OPEN, opened),
        (evt.EVT_C_FIND, find),
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_C_STORE, store),
    ]
    entity.start_server(("127.0.0.1", port), evt_handlers=handlers)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
