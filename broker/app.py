"""The composition root: a configuration becomes adapters, use cases and one TaskGroup. The only module that knows all."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

import structlog

from broker import wiring
from broker.config.model import Configuration
from broker.dicom.answers import Answers
from broker.dicom.archive import Acceptance, ArchiveNode
from broker.dicom.charset import find_charset
from broker.dicom.find import WORKLIST_FIND, Asker, FindWorklist
from broker.dicom.mpps import PERFORMED_STEP, MppsHandler
from broker.dicom.server import DicomServer, Service
from broker.dicom.spool import Spool
from broker.dicom.storage import Storage
from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.dicom.transport import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from broker.errors import BrokerError
from broker.mllp.connection import Peer
from broker.mllp.server import MllpServer
from broker.observe.metrics import Metrics
from broker.services.accounts import Accounts
from broker.services.forwarding import Forwarder
from broker.services.identifiers import Ulids
from broker.services.inspect import Inspection, Part
from broker.services.intake import Intake
from broker.services.leases import Alone, Leases
from broker.services.messages import Messages
from broker.services.notices import Courier, Duty, Health, Outbox
from broker.services.performed import PerformedSteps
from broker.services.readdress import Readdressing
from broker.services.received import ListenerRules
from broker.services.reconcile import Reconciliation
from broker.services.retention import AgedReader, Retention
from broker.services.studies import Studies
from broker.services.todo import Todos
from broker.services.workers import Workers
from broker.services.worklist import Worklist
from broker.store.store import Store
from broker.ul.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Choice, first_of
from broker.ul.pdu import RejectReason
from broker.web.app import create
from broker.web.server import WebServer
from broker.wiring import now

log = structlog.get_logger()

GARBAGE = 50_000, 20, 100
"""After how many new objects garbage is looked for: a batch of orders makes thousands, and hardly any refer to each other."""

GRACE_SECONDS = 10.0
DATA_SET_SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, "1.2.840.10008.1.2.2")


class WriterDied(BrokerError):
    """The database writer is dead; the process ends with exit code 70."""


class App:
    """One broker: opened, run until it is asked to stop, closed."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.ids = Ulids(now)
        self.metrics = Metrics(known=tuple(configuration.dicom.nodes))
        self.stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self._death: BaseException | None = None
        self._workers = Workers()
        self._health: dict[str, Health] = {}
        self._listeners: list[MllpServer] = []
        self._dicom: list[DicomServer] = []

    async def run(self) -> None:
        """Run until `stop`; raise WriterDied when the store's writer is dead."""
        gc.disable()  # what a start makes stays
        async with AsyncExitStack() as stack:
            await self._open(stack)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._web.serve())
                workers = self._workers.start(group)
                gc.collect()
                gc.freeze()
                gc.set_threshold(*GARBAGE)
                gc.enable()
                self.ready.set()
                log.info("broker.ready", site=self.configuration.site)
                group.create_task(self.store.prepare())
                await self.stopping.wait()
                log.info("broker.stopping")
                await self._close_listeners()
                self._web.stop(1)
                for worker in workers:
                    worker.cancel()
                await serving
        log.info("broker.stopped")
        if self._death is not None:
            raise WriterDied(f"the database writer died: {self._death}", code="S070") from self._death

    def stop(self) -> None:
        """Ask the broker to stop."""
        self.stopping.set()

    async def _open(self, stack: AsyncExitStack) -> None:
        """Open everything in the order in which it is needed; what fails undoes what was opened."""
        configuration = self.configuration
        catalogue = wiring.load_catalogue(configuration)
        self._rules = wiring.rules(configuration)
        self._outbox = Outbox(wiring.subscriptions(configuration), self.ids, self.metrics)
        if configuration.database_file is not None:
            configuration.database_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = await Store.open(
            configuration.database, fan_out=self._outbox.fan_out, on_death=self._on_death, on_commit=self.metrics.commit
        )
        stack.push_async_callback(self.store.close)
        self._outbox.attach(self.store, is_shared=self.store.is_shared)
        self._mappings = wiring.mappings(configuration, catalogue, self.store, self.metrics)
        await self._mappings.open()
        self._workers.add("mappings", self._mappings.watch)
        self._todos = Todos(self._mappings, self.store.messages, self.metrics)
        self._workers.add("to-do list", self._todos.watch)
        self._spool = Spool(configuration.spool, self.ids)
        stack.callback(self._spool.close)
        self._build_services()
        await self._reconciliation.set_aside_rejected()
        adopted = await self._storage.adopt(await self.store.instances.paths(self._spool.id))
        log.info("spool.reconciled", count=adopted)
        await self._readdress()
        duty = await self._share(stack)
        self._build_couriers(duty)
        await self._open_listeners(stack)

    async def _readdress(self) -> None:
        """Send elsewhere what waits for a node that is not configured any more."""
        await Readdressing(
            writer=self._outbox,
            outbox=self.store.deliveries,
            objects=self.store.objects_of(self._spool.id),
            remove=self._spool.forget,
            known={*self.configuration.destinations, *self.configuration.studies.forward_to},
            rules=self._rules,
            clock=now,
            ids=self.ids,
        ).run()

    async def _share(self, stack: AsyncExitStack) -> Duty:
        """Settle with other brokers on the same store who carries what; one that is alone carries all."""
        if not self.store.is_shared:
            return Alone()
        leases = Leases(tuple(self.configuration.destinations), self._spool.id, self.store)
        await leases.renew()
        stack.push_async_callback(leases.release)
        self._workers.add("leases", leases.run)
        return leases

    async def _open_listeners(self, stack: AsyncExitStack) -> None:
        """Accept connections; whoever waits is served once the event loop goes on."""
        services = self._dicom_services()
        self._hosts = await asyncio.to_thread(wiring.hosts, self.configuration.dicom)
        for settings in wiring.dicom_ports(self.configuration.dicom):
            server = DicomServer(settings, services, self._accepts, self._admit)
            await server.start()
            stack.push_async_callback(server.stop, 0)
            self._dicom.append(server)
        for name, listener in self.configuration.hl7.listeners.items():
            handle = partial(self._handle, wiring.listener_rules(name, listener))
            mllp = MllpServer(wiring.mllp_listener(name, listener, handle, self.ids))
            await mllp.start()
            stack.push_async_callback(mllp.stop, 0)
            self._listeners.append(mllp)
        self._web = self._build_web()
        self._web.open()
        stack.callback(self._web.close)

    async def _handle(self, rules: ListenerRules, raw: bytes, peer: Peer) -> bytes:
        return await self._intake.handle(raw, rules)

    def _on_death(self, fault: BaseException) -> None:
        self._death = fault
        log.error("store.writer_died", error=str(fault))
        self.stop()

    async def _close_listeners(self) -> None:
        """Stop accepting, finish what is in flight."""
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.stop(GRACE_SECONDS))
            for server in self._dicom:
                group.create_task(server.stop(GRACE_SECONDS))

    def _build_services(self) -> None:
        dicom, zone = self.configuration.dicom, ZoneInfo(self.configuration.timezone)
        self._intake = Intake(self._outbox, lambda: self._mappings.current, zone, now, self.ids, self.metrics)
        self._worklist = Worklist(
            self.store.worklist, wiring.modalities(dicom), wiring.scanner_rules(dicom), now, self.metrics
        )
        strict = frozenset(ae for ae, node in dicom.nodes.items() if node.strict)
        self._performed = PerformedSteps(self._outbox, self._rules, strict, now, self.ids, self.metrics)
        self._reconciliation = Reconciliation(
            self._outbox, self.store.studies, self._rules, self._spool.put_aside, now, self.ids, self.metrics
        )
        self._workers.add("held studies", self._reconciliation.watch)
        self._studies = Studies(
            self._outbox, self.store.studies, self._rules, now, self.ids, self.metrics, self._reconciliation.wake
        )
        self._storage = Storage(self._spool, self._studies, now, IMPLEMENTATION_UID, IMPLEMENTATION_VERSION)
        self._workers.add("quiet time", self._studies.watch_quiet_time)
        retention = self.configuration.retention
        kept: dict[str, tuple[AgedReader, timedelta]] = {
            "deliveries": (self.store.deliveries, retention.delivered),
            "events": (self.store.events, retention.events),
            "messages": (self.store.messages, retention.messages),
        }
        self._workers.add("retention", Retention(kept, self.store, now).run)

    def _build_couriers(self, duty: Duty) -> None:
        for name in self.configuration.destinations:
            carrier = wiring.carrier(self.configuration, name, lambda: self._mappings.current)
            courier = Courier(name, carrier, self.store.deliveries, self._outbox, duty, now, self.ids, self.metrics)
            self._health[name] = courier.health
            self._workers.add(f"destination {name}", courier.run)
        dicom = self.configuration.dicom
        private = wiring.private_classes(dicom)
        self._acceptance = Acceptance(STORAGE_CLASSES, private)
        objects = self.store.objects_of(self._spool.id)
        for ae in self.configuration.studies.forward_to:
            archive = ArchiveNode(wiring.archive_settings(dicom, ae), self._spool.locate)
            forwarder = Forwarder(
                ae,
                archive,
                objects,
                self._outbox,
                self._spool.remove,
                self._rules,
                now,
                self.ids,
                self.metrics,
            )
            self._health[ae] = forwarder.health
            self._workers.add(f"archive {ae}", forwarder.run)
            self._workers.add(
                f"probe {ae}", partial(self._acceptance.watch, ae, archive, frozenset().union(*private.values()))
            )

    def _dicom_services(self) -> dict[str, Service]:
        """Give who answers which SOP class."""
        find = FindWorklist(self._worklist.search, self._asker, Answers())
        private = frozenset().union(*wiring.private_classes(self.configuration.dicom).values())
        storage: dict[str, Service] = dict.fromkeys(STORAGE_CLASSES | private, self._storage)
        return {**storage, WORKLIST_FIND: find, PERFORMED_STEP: MppsHandler(self._performed)}

    def _accepts(self, abstract_syntax: str, offered: tuple[str, ...], calling_ae: str) -> Choice:
        if abstract_syntax in (WORKLIST_FIND, PERFORMED_STEP):
            return first_of(offered, DATA_SET_SYNTAXES)
        return self._acceptance.choose(abstract_syntax, offered, calling_ae)

    def _admit(self, calling: str, called: str, host: str) -> RejectReason | None:
        reason = wiring.refusal(self.configuration.dicom, self._hosts, calling, host)
        self.metrics.association(calling, "rejected" if reason else "accepted")
        return reason

    def _asker(self, ae: str) -> Asker:
        node = self.configuration.dicom.nodes.get(ae)
        charset = find_charset(node.charset.split("\\")) if node and node.charset else None
        return Asker(caller=self._worklist.caller(ae), charset=charset)

    def _build_web(self) -> WebServer:
        settings = wiring.web_settings(self.configuration)
        inspection = Inspection(
            orders=self.store.orders,
            messages=self.store.messages,
            deliveries=self.store.deliveries,
            alarms=self.store.events,
            worklist=self._worklist,
            health=self,
            studies=self.store.studies,
            reconciliation=self._reconciliation,
            writer=self._outbox,
            clock=now,
            ids=self.ids,
        )
        accounts = Accounts(reader=self.store.accounts, writer=self.store, clock=now)
        rules = wiring.all_listener_rules(self.configuration)
        app = create(
            settings,
            inspection=inspection,
            accounts=accounts,
            metrics=self.metrics.exposition,
            mappings=self._mappings,
            messages=Messages(self.store.messages, self._intake, self._mappings, rules),
            todos=self._todos,
        )
        return WebServer(app, settings)

    def parts(self) -> Sequence[Part]:
        """Tell how every listener, destination and the store are (services.inspect.Health)."""
        known = wiring.addresses(self.configuration)
        is_accepting = self.ready.is_set() and not self.stopping.is_set()
        listeners = [f"hl7 {name}" for name in self.configuration.hl7.listeners]
        listeners.append(f"dicom {self.configuration.dicom.ae_title}")
        parts = [Part(name=name, kind="listener", is_up=is_accepting, address=known[name]) for name in listeners]
        parts += [
            Part(name=name, kind="destination", is_up=health.is_up, address=known[name], error=health.error)
            for name, health in self._health.items()
        ]
        problem = self._mappings.problem
        parts.append(Part(name="mappings", kind="mappings", is_up=not problem, error=problem))
        return [*parts, Part(name="store", kind="store", is_up=self.store.is_writable, error=self.store.problem)]


def run(configuration: Configuration) -> None:
    """Run a broker until SIGTERM or SIGINT; raises what `App.run` raises."""
    import uvloop

    sys.setswitchinterval(0.0001)

    async def main() -> None:
        app = App(configuration)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, app.stop)
        await app.run()

    uvloop.run(main())
