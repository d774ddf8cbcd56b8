"""What is measured: each function does one work with everybody and gives rows of the table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from bench import scenes, servers
from bench.measure import Figure, Limits, measure
from bench.scenes import A_DAY, FIRST
from bench.servers import NotInstalled, Server
from bench.table import Row
from bench.wire import PeerFault, Work

LISTED, MANY = 1_000, 10_000
CALLERS = 32
STARTS = 5
NODELAY = "TCP_NODELAY"
DRESSES = (NODELAY, "")


@dataclass
class Site:
    """The servers that run now, with the same worklist; *missing* are peers that are not installed."""

    folder: Path
    limits: Limits
    running: list[Server] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.worklists.mkdir(parents=True)
        (self.worklists / "lockfile").touch()  # wlmscpfs wants it

    @property
    def worklists(self) -> Path:
        """The folder of worklist files; it bears the AE title, as DCMTK wants it."""
        return self.folder / "worklists" / servers.AE

    def start_broker(self, orders: int) -> Server:
        """Start a new broker, send it *orders* orders, and write its list for the peers."""
        broker = servers.start_broker(self.folder / f"broker-{orders}")
        self.running.append(broker)
        began = time.perf_counter()
        asyncio.run(scenes.send_orders(broker.hl7_port, range(FIRST, FIRST + orders)))
        print(f"{orders} orders sent in {time.perf_counter() - began:.1f} s", flush=True)
        count = asyncio.run(scenes.copy_worklist(broker, self.worklists))
        if count != orders:
            raise PeerFault(f"the broker lists {count} of {orders} orders")
        return broker

    def start_peers(self, names: Sequence[str]) -> None:
        """Start the peers of these names, each with TCP_NODELAY and as it comes."""
        for dress in DRESSES:
            own = self.folder / (dress or "plain")
            starters: dict[str, Callable[[], Server]] = {
                "Orthanc": partial(servers.start_orthanc, own / "orthanc", self.worklists, dress),
                "wlmscpfs": partial(servers.start_wlmscpfs, self.worklists, dress),
                "storescp": partial(servers.start_storescp, own / "storescp", dress),
                "pynetdicom": partial(servers.start_pynetdicom, own / "plain", self.worklists, dress),
            }
            for name in names:
                try:
                    self.running.append(starters[name]())
                except NotInstalled:
                    self.missing.add(name)

    def stop(self) -> None:
        """Stop everybody, each by its own number."""
        while self.running:
            self.running.pop().stop()

    def time(
        self, name: str, work: Work, peers: Sequence[str], goal: str, limits: Limits | None = None, callers: int = 1
    ) -> tuple[Row, dict[tuple[str, str], Figure]]:
        """Measure *work* with the broker and these *peers*; the row holds median times in milliseconds."""
        asked = [server for server in self.running if server.name == "radbroker" or server.name in peers]
        figures = measure(asked, work, limits or self.limits, callers)
        missing = {peer: None for peer in peers if peer in self.missing}
        values = {key: figure.middle for key, figure in figures.items()}
        best = {key: figure.best for key, figure in figures.items()}
        return Row(name, "ms", values, best, missing, goal), figures


WORKLIST_PEERS = ("Orthanc", "wlmscpfs", "pynetdicom")
STORAGE_PEERS = ("Orthanc", "storescp", "pynetdicom")


def echo(site: Site) -> Iterator[Row]:
    """C-ECHO."""
    peers = ("Orthanc", "storescp", "pynetdicom")
    yield site.time("C-ECHO, association to release", scenes.echo(), peers, "<= 0.6")[0]


def worklist(site: Site) -> Iterator[Row]:
    """Worklist queries of one caller: from association to release, then on an association that is kept."""
    slow = Limits(site.limits.rounds, site.limits.seconds, 20)
    one = lambda turn: scenes.by_accession(FIRST + turn * 5)  # noqa: E731
    for is_open in (False, True):
        where = "association kept" if is_open else "association to release"
        goals = ("", "", "") if is_open else ("<= 0.7, 45 x", "<= 1.2, 30 x", "<= 6, 15 x")
        work = scenes.find(one, 200, 1, is_open=is_open)
        yield site.time(f"worklist, 1 of 1,000, {where}", work, WORKLIST_PEERS, goals[0])[0]
        work = scenes.find(scenes.by_day, 20, A_DAY, is_open=is_open)
        yield site.time(f"worklist, 50 of 1,000, {where}", work, WORKLIST_PEERS, goals[1])[0]
        work = scenes.find(scenes.everything, 1, LISTED, is_open=is_open)
        yield site.time(f"worklist, all 1,000, {where}", work, WORKLIST_PEERS, goals[2], slow)[0]
    work = scenes.find(scenes.everything_anew, 4096, LISTED, is_open=True)
    yield site.time("worklist, all 1,000, keys never asked for before", work, (), "", slow)[0]


def crowd(site: Site) -> Iterator[Row]:
    """32 callers at once, a day's list of 50 each; queries in a second."""
    limits = Limits(min(3, site.limits.rounds), 2.0, 5_000)
    for is_open in (True, False):
        work = scenes.find(scenes.by_day, 20, A_DAY, is_open=is_open)
        where = "associations kept" if is_open else "an association each"
        row, figures = site.time(
            f"worklist, 50 of 1,000, 32 callers, {where}", work, WORKLIST_PEERS, "", limits, CALLERS
        )
        rates = {key: figure.rate for key, figure in figures.items()}
        best = {key: max(figure.rates) for key, figure in figures.items()}
        yield Row(row.name, "/s", rates, best, row.missing, ">= 2,000" if is_open else "")


def long_list(site: Site) -> Iterator[Row]:
    """One of 10,000."""
    work = scenes.find(lambda turn: scenes.by_accession(FIRST + turn * (MANY // 200)), 200, 1, is_open=False)
    yield site.time("worklist, 1 of 10,000, association to release", work, WORKLIST_PEERS, "<= 1")[0]


def mpps(site: Site) -> Iterator[Row]:
    """MPPS N-CREATE and N-SET; the broker's are synced, those of pynetdicom's SCP stay in memory."""
    yield site.time("MPPS create + set, association kept", scenes.mpps(), ("pynetdicom",), "<= 1.5")[0]


def images(site: Site) -> Iterator[Row]:
    """C-STORE of 512 KB; the broker and Orthanc sync each object before they answer, the others do not."""
    megabytes = scenes.OBJECT_BYTES / 1e6
    few = Limits(site.limits.rounds, site.limits.seconds, 60)  # everybody keeps what it gets: two gigabytes in all
    for callers, noun in ((1, "association"), (4, "associations")):
        name = f"C-STORE 512 KB, {callers} {noun}"
        row, figures = site.time(name, scenes.images(), STORAGE_PEERS, "", few, callers)
        rates = {key: figure.rate * megabytes for key, figure in figures.items()}
        best = {key: max(figure.rates) * megabytes for key, figure in figures.items()}
        yield Row(row.name, "MB/s", rates, best, row.missing, "1.5 x Orthanc")


def starts(site: Site) -> Iterator[Row]:
    """Time from the start of the process until it serves, and the memory it holds then."""
    first: list[float] = []
    times: dict[tuple[str, str], list[float]] = {}
    memory: dict[tuple[str, str], list[float]] = {}
    for number in range(STARTS):
        with ExitStack() as stack:
            fresh = servers.start_broker(site.folder / f"start{number}")
            stack.callback(fresh.stop)
            first.append(fresh.started)
            memory.setdefault(("radbroker", ""), []).append(fresh.rss())
        site.running.append(servers.start_broker(site.folder / "start0"))
        site.start_peers(("Orthanc", "wlmscpfs", "storescp", "pynetdicom"))
        for server in site.running:
            times.setdefault((server.name, server.dress), []).append(server.started)
            if server.name != "radbroker":
                memory.setdefault((server.name, server.dress), []).append(server.rss())
        site.stop()
    missing = dict.fromkeys(site.missing)
    yield _of_starts("ready, from the process's start", "s", times, missing, "<= 2")
    yield _of_starts("ready, first start, database made", "s", {("radbroker", ""): first}, {}, "")
    yield _of_starts("memory, ready and idle", "MB", memory, missing, "<= 120")


def _of_starts(
    name: str, unit: str, values: dict[tuple[str, str], list[float]], missing: dict[str, None], goal: str
) -> Row:
    middles = {key: median(found) for key, found in values.items()}
    return Row(name, unit, middles, {key: min(found) for key, found in values.items()}, missing, goal)
