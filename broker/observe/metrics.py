"""Every counter and histogram, as methods that the services' protocols ask for; names ``radbroker_*``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

_QUICK = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
_BATCH = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counts what happens. AE titles that are not *known* are counted together, so that callers cannot add series."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = frozenset(known)
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._messages = self._counter("messages", "HL7 messages by listener and outcome", "listener", "outcome")
        self._warnings = self._counter("mapping_warnings", "Values mended or sent empty by a mapping", "mapping")
        self._associations = self._counter("associations", "DICOM associations asked for", "ae", "outcome")
        self._queries = self._counter("worklist_queries", "Worklist queries", "ae", "outcome")
        self._answers = self._counter("worklist_answers", "Worklist items returned", "ae")
        self._query_seconds = self._histogram("worklist_seconds", "Time of a worklist query", _QUICK)
        self._performed = self._counter("mpps", "MPPS requests by message and status", "ae", "message", "status")
        self._objects = self._counter("objects", "DICOM objects received", "ae", "outcome")
        self._object_bytes = self._counter("object_bytes", "Bytes of DICOM objects received", "ae")
        self._deliveries = self._counter(
            "deliveries", "Attempts by destination and what became of them", "destination", "state"
        )
        self._alarms = self._counter("alarms", "Things that a person should look at", "event")
        self._held = Gauge("radbroker_studies_held", "Studies that wait for a person", registry=self.registry)
        self._sets = self._counter("mapping_sets", "Attempts to load mappings and what became of them", "outcome")
        self._problems = Gauge(
            "radbroker_mapping_problems",
            "Problems that keep the mappings folder from being used",
            registry=self.registry,
        )
        self._unknown = Gauge(
            "radbroker_mapping_unknown_codes",
            "Codes that no table knows, in the last messages",
            ("mapping",),
            registry=self.registry,
        )
        self._commits = self._histogram("store_commit_seconds", "Time of a commit", _QUICK)
        self._batches = self._histogram("store_batch_jobs", "Jobs in one commit", _BATCH)

    def message(self, listener: str, outcome: str) -> None:
        """Count one HL7 message: accepted, ignored, refused, parked, repeated or failed."""
        self._messages.labels(listener, outcome).inc()

    def warnings(self, mapping: str, count: int) -> None:
        """Count warnings of a mapping, whatever its version: *mapping* may have its digest behind an @."""
        if count:
            self._warnings.labels(mapping.partition("@")[0]).inc(count)

    def association(self, ae: str, outcome: str) -> None:
        """Count one association: accepted, rejected or aborted."""
        self._associations.labels(self._ae(ae), outcome).inc()

    def query(self, ae: str, outcome: str, answers: int, seconds: float) -> None:
        """Count one worklist query: answered, cancelled or failed, its answers and its time."""
        self._queries.labels(self._ae(ae), outcome).inc()
        self._answers.labels(self._ae(ae)).inc(answers)
        self._query_seconds.observe(seconds)

    def performed(self, ae: str, message: str, status: int) -> None:
        """Count one N-CREATE or N-SET with the status that it was answered."""
        self._performed.labels(self._ae(ae), message, f"{status:04X}").inc()

    def stored(self, ae: str, outcome: str, size: int) -> None:
        """Count one object: stored, repeated, refused or failed, and its bytes."""
        self._objects.labels(self._ae(ae), outcome).inc()
        self._object_bytes.labels(self._ae(ae)).inc(size)

    def delivery(self, destination: str, state: str) -> None:
        """Count one attempt by the state that the row has after it."""
        self._deliveries.labels(destination, state).inc()

    def alarm(self, event: str) -> None:
        """Count one alarm by its event type."""
        self._alarms.labels(event).inc()

    def held(self, count: int) -> None:
        """Show the number of studies that are held now."""
        self._held.set(count)

    def mappings(self, outcome: str, problems: int) -> None:
        """Count one attempt to load mappings: loaded, refused or rolled_back; show the problems of the folder."""
        self._sets.labels(outcome).inc()
        self._problems.set(problems)

    def unknown_codes(self, counts: Mapping[str, int]) -> None:
        """Show how many codes no table knows, of every mapping in *counts* and no other."""
        self._unknown.clear()
        for mapping, count in counts.items():
            self._unknown.labels(mapping).set(count)

    def commit(self, jobs: int, seconds: float) -> None:
        """Count one transaction of the store."""
        self._batches.observe(jobs)
        self._commits.observe(seconds)

    def exposition(self) -> bytes:
        """Give everything as Prometheus reads it (text format 0.0.4)."""
        return generate_latest(self.registry)

    def _ae(self, title: str) -> str:
        return title if title in self._known else "other"

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"radbroker_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"radbroker_{name}", text, buckets=buckets, registry=self.registry)
