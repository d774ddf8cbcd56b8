"""All measurements in one run: ``make bench``, or ``python -m bench [--rounds N] [WORK ...]``.

Everything is started here on free ports of this machine, in a folder below $TMPDIR, and stopped at the end. A peer that
is not installed is told as such and left out; the exit code is 1 only when something went wrong.
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import works
from bench.measure import Limits
from bench.table import Row, render
from bench.wire import PeerFault
from broker.errors import BrokerError

WORKS = ("starts", "echo", "worklist", "crowd", "mpps", "images", "long_list", "intake")
INTAKE = Path(__file__).with_name("hl7_intake.py")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the tables; give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the broker beside its peers.")
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"of {', '.join(WORKS)}; without any, all")
    parser.add_argument("--rounds", type=int, default=5, help="how often everybody has a turn (default: 5)")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.works) - set(WORKS)
    if unknown:
        parser.error(f"no such work: {', '.join(sorted(unknown))}")
    names = chosen.works or WORKS
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # everything that was started is stopped then too
    rows: list[Row] = []
    try:
        _measure(names, Limits(rounds=chosen.rounds), rows)
    except (BrokerError, OSError, PeerFault, RuntimeError) as fault:
        print(f"bench: {fault}", file=sys.stderr)
        return 1
    finally:
        _print(rows)
    return _intake() if "intake" in names else 0


def _measure(names: Sequence[str], limits: Limits, rows: list[Row]) -> None:
    with tempfile.TemporaryDirectory(prefix="radbroker-bench-", ignore_cleanup_errors=True) as folder:
        site = works.Site(Path(folder), limits)
        try:
            if "starts" in names:
                _take(rows, works.starts(site))
            if set(names) & {"echo", "worklist", "crowd", "mpps", "images"}:
                site.start_broker(works.LISTED)
                site.start_peers(("Orthanc", "wlmscpfs", "storescp", "pynetdicom"))
                for name in ("echo", "worklist", "crowd", "mpps", "images"):
                    if name in names:
                        _take(rows, getattr(works, name)(site))
                site.stop()
            if "long_list" in names:
                site.start_broker(works.MANY)
                site.start_peers(works.WORKLIST_PEERS)
                _take(rows, works.long_list(site))
        finally:
            site.stop()


def _take(rows: list[Row], measured: Iterable[Row]) -> None:
    """Keep each row as soon as it is there, and tell the broker's own figure."""
    for row in measured:
        rows.append(row)
        print(f"{row.name}: {row.told}", flush=True)


def _print(rows: list[Row]) -> None:
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"\n{os.cpu_count()} processors, {platform.python_implementation()} {platform.python_version()}, load {load}")
    print("(x) is how many times better than the peer the broker is.")
    print(f"\nMedians, peers with TCP_NODELAY=1\n\n{render(rows, works.NODELAY)}")
    print(f"\nThe best of each, peers with TCP_NODELAY=1\n\n{render(rows, works.NODELAY, is_best=True)}")
    print(f"\nMedians, peers as they come\n\n{render(rows, '')}")


def _intake() -> int:
    """Measure HL7 intake, which prints a table of its own."""
    return subprocess.run([sys.executable, str(INTAKE)], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
