"""What every broker must be after whatever came its way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peers.his import msa, orm
from peers.hospital import Hospital

GROWTH_MB = 120
"""What a broker may have more in use after bad input than after its first order: some frames of 10 MB at once."""


@contextmanager
def withstanding(hospital: Hospital) -> Iterator[None]:
    """Start the broker; in the end it is alive, has not grown, has no traceback in its log and stops cleanly."""
    hospital.start()
    works(hospital, "FIRST")
    before = hospital.memory()
    yield
    works(hospital, "LAST")
    grown = hospital.memory() - before
    assert grown < GROWTH_MB, f"{grown} MB more than before"
    assert hospital.terminate() == 0
    log = hospital.read_log()
    faults = [line for line in log.splitlines() if "Traceback" in line or '"exception"' in line]
    assert not faults, faults
    assert log.count('"mllp.stopped"') == len(hospital.configuration["hl7"]["listeners"])


def works(hospital: Hospital, accession: str) -> None:
    """Send an order and see it on the list."""
    assert msa(hospital.send(orm(accession)))[1] == "AA"
    assert [found["0008,0050"] for found in hospital.findscu(f"0008,0050={accession}")] == [accession]
