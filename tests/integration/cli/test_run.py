"""`broker run` with a configuration that is well written and cannot be used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CONFIGURATION = """\
mappings: {mappings}
hl7: {{listeners: {{his: {{port: 0}}}}}}
dicom: {{port: 0}}
web: {{port: 0}}
destinations:
  ris: {{type: hl7, port: 2576, mapping: ihe/study-to-our}}
  other: {{type: hl7, port: 2576, mapping: ihe/orm-to-mwl}}
  bus: {{type: mqtt, mapping: ihe/status-to-orm}}
  day: {{type: hl7, port: 2576, events: [study.available, order.*]}}
"""


def test_mappings_of_destinations_that_do_not_fit_are_told_together_with_their_places(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    file = tmp_path / "config/broker.yaml"
    file.write_text(CONFIGURATION.format(mappings=Path(__file__).parents[3] / "mappings"))

    refused = subprocess.run(
        [sys.executable, "-m", "broker", "run", "--config", str(file)], capture_output=True, text=True, timeout=60
    )

    assert refused.returncode == 78
    assert f"{file}:6:41: error: there is no mapping ihe/study-to-our in " in refused.stderr
    assert "did you mean 'ihe/study-to-oru'?" in refused.stderr
    assert f"{file}:7:43: error: the mapping ihe/orm-to-mwl reads hl7/ORM^O01" in refused.stderr
    assert (
        f"{file}:9:40: error: it hears order.cancelled, order.scheduled, order.updated, which ihe/study"
        in refused.stderr
    )
    assert "write events: [study.available]" in refused.stderr
    assert f"{file}:8:30: error: the mapping ihe/status-to-orm makes hl7/ORM^O01" in refused.stderr
