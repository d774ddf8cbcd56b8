"""Print how long one order takes through a shipped mapping, trace off: read and translate, best and median of many.

Usage: python bench/mapping_speed.py [MESSAGE]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from zoneinfo import ZoneInfo

from broker.config.mapping_files import read_mapping_files
from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue

ROOT = Path(__file__).resolve().parents[1] / "mappings"
ROUNDS, TURNS = 400, 10


def microseconds(run: Callable[[], object]) -> tuple[float, float]:
    """Run it many times; give the best and the median time of one turn."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(TURNS):
            run()
        times.append((time.process_time() - start) / TURNS * 1e6)
    return min(times), median(times)


def main() -> None:
    """Measure and print."""
    sample = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "samples" / "ct_thorax.hl7"
    text = sample.read_text().replace("@SEQ@", "123")
    catalogue, _ = Catalogue.load(read_mapping_files(ROOT))
    mapping = catalogue.get("ihe/orm-to-mwl") if catalogue else None
    if mapping is None:
        sys.exit("ihe/orm-to-mwl is not usable")
    zone, now = ZoneInfo("Europe/Madrid"), datetime.now(UTC)
    best, middle = microseconds(lambda: Message.parse(text))
    print(f"read                 best {best:6.1f} us   median {middle:6.1f} us")
    best, middle = microseconds(lambda: mapping.translate(Message.parse(text), zone, now))
    print(f"read and translate   best {best:6.1f} us   median {middle:6.1f} us")
    attributes = len(mapping.translator.attributes) if mapping.translator else 0
    print(f"({attributes} attributes at the top level)")


if __name__ == "__main__":
    main()
