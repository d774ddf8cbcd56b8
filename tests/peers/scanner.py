"""A modality, half pynetdicom, half DCMTK."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pynetdicom import AE

from peers.images import mpps_create, mpps_set
from peers.programs import find_program

MPPS = "1.2.840.10008.3.1.2.3.3"


@dataclass
class Scanner:
    """A modality: reports MPPS and sends images with pynetdicom, or images with DCMTK's storescu."""

    hospital: Any
    ae: str

    def _associate(self, syntax: str) -> Any:
        entity = AE(ae_title=self.ae)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 15
        entity.add_requested_context(syntax)
        association = entity.associate("127.0.0.1", self.hospital.dicom_port, ae_title="BROKER")
        assert association.is_established, "no association"
        return association

    def start_step(self, entry: dict[str, str], uid: str, patient_id: str | None = None) -> int:
        """N-CREATE an MPPS for a worklist entry (as findscu gave it); give the status."""
        return self.create(mpps_create(entry, uid, self.ae, patient_id), uid)

    def create(self, data_set: Any, uid: str) -> int:
        association = self._associate(MPPS)
        status, _ = association.send_n_create(data_set, MPPS, uid)
        association.release()
        return int(status.Status)

    def end_step(self, uid: str, images: list[Any], status: str = "COMPLETED") -> int:
        """N-SET the final status, naming *images*; give the status."""
        association = self._associate(MPPS)
        answer, _ = association.send_n_set(mpps_set(images, status), MPPS, uid)
        association.release()
        return int(answer.Status)

    def store(self, folder: Path, images: list[Any]) -> None:
        """Send images with DCMTK's storescu; fails when one is not answered 0000H."""
        paths = []
        folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            path = folder / f"{image.SOPInstanceUID}.dcm"
            image.save_as(path, enforce_file_format=True)
            paths.append(str(path))
        port = str(self.hospital.dicom_port)
        done = subprocess.run(
            [find_program("storescu"), "-v", "-aet", self.ae, "-aec", "BROKER", "127.0.0.1", port, *paths],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (done.stdout + done.stderr).count("(Success)") >= len(images), done.stdout + done.stderr


def parse_dump(output: str) -> list[dict[str, str]]:
    """Read findscu's -v output: one dictionary of tag -> value an answer (sequences flattened)."""
    answers: list[dict[str, str]] = []
    for line in output.splitlines():
        if "Find Response" in line and "Pending" in line:
            answers.append({})
        found = re.match(r"I:\s+\((\w{4},\w{4})\) \w\w (?:\[(.*?)\]|\(no value available\)|=\S+)", line)
        if found and answers:
            answers[-1][found[1].lower()] = (found[2] or "").strip(" \0")
    return answers
