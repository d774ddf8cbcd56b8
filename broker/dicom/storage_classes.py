"""Every standard storage SOP class and the transfer syntaxes that images come in (PS3.4 B.5, PS3.6 Annex A)."""

from __future__ import annotations

from typing import Final

from broker.standard import UIDS

_NOT_OBJECTS: Final = ("Commitment", "Media Storage", "Storage Management", "Inventory")

_YOUNGER: Final = frozenset(
    {
        "1.2.840.10008.5.1.4.1.1.9.100.1",
        "1.2.840.10008.5.1.4.1.1.9.100.2",
        "1.2.840.10008.5.1.4.1.1.66.7",
        "1.2.840.10008.5.1.4.1.1.66.8",
    }
)
"""Waveform presentation states, label and height maps: classes that the table does not have yet."""

STORAGE_CLASSES: Final = _YOUNGER | {
    uid
    for uid, (name, kind, *_) in UIDS.items()
    if kind == "SOP Class" and "Storage" in name and not any(word in name for word in _NOT_OBJECTS)
}
"""The retired ones too: old scanners still send them."""

_JPEG: Final = "1.2.840.10008.1.2.4."
TRANSFER_SYNTAXES: Final = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    *(f"{_JPEG}{end}" for end in "50 51 57 70 80 81 90 91 92 93 100 101 102 103 104 107 108 201 202 203".split()),
)
"""What an archive is asked about; others are taken only while no archive has been asked."""
