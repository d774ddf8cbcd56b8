"""The composition root: a configuration becomes adapters, use cases and one TaskGroup. The only module that knows all."""

from __future__ import annotations

import asyncio
import gc
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

import structlog

from broker.config.mapping_files import read_mapping_files
from broker.config.model import Configuration, HL7Destination, Listener, ListenerTLS, MqttDestination, Node
from broker.dicom.answers import Answers
from broker.dicom.archive import Acceptance, ArchiveNode, ArchiveSettings
from broker.dicom.charset import find_charset
from broker.dicom.find import WORKLIST_FIND, Asker, FindWorklist
from broker.dicom.mpps import PERFORMED_STEP, MppsHandler
from broker.dicom.server import DicomServer, ServerSettings, Service
from broker.dicom.spool import Spool
from broker.dicom.storage import Storage
from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.dicom.transport import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from broker.errors import BrokerError, ConfigurationError
from broker.mapping.catalogue import Catalogue
from broker.mllp.carrier import HL7Carrier
from broker.mllp.client import MllpClient
from broker.mllp.server import MllpListener, MllpServer
from broker.mqtt.carrier import MqttCarrier, MqttSettings
from broker.observe.metrics import Metrics
from broker.services.accounts import Accounts
from broker.services.cloudevents import cloud_event, topic
from broker.services.forwarding import Forwarder
from broker.services.identifiers import Ulids
from broker.services.inspect import Inspection, Part
from broker.services.intake import Intake, ListenerRules
from broker.services.notices import Carrier, Courier, Outbox, Subscription
from broker.services.performed import PerformedSteps
from broker.services.progress import Rules
from broker.services.render import Receiver, Renderer
from broker.services.studies import Studies
from broker.services.worklist import ScannerRules, Worklist
from broker.store.store import Store
from broker.ul.negotiation import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Choice, first_of
from broker.ul.pdu import RejectReason
from broker.web.app import create
from broker.web.server import WebServer
from broker.web.settings import WebSettings

log = structlog.get_logger()

GRACE_SECONDS = 10.0
RESTART_SECONDS = 1.0
DATA_SET_SYNTAXES = (EXPLICIT_LITTLE, IMPLICIT_LITTLE, "1.2.840.10008.1.2.2")


def now() -> datetime:
    """Tell the time in UTC."""
    return datetime.now(UTC)


class WriterDied(BrokerError):
    """The database writer is dead; the process ends with exit code 70."""


class App:
    """One broker: opened, run until it is asked to stop, closed."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.zone = ZoneInfo(configuration.timezone)
        self.ids = Ulids(now)
        self.metrics = Metrics(known=tuple(configuration.dicom.nodes))
        self.stopping = asyncio.Event()
        self.ready = asyncio.Event()
        self._death: BaseException | None = None
        self._workers: dict[str, Callable[[], Awaitable[None]]] = {}
        self._couriers: list[Courier | Forwarder] = []
        self._listeners: dict[str, MllpServer] = {}
        self._dicom: list[DicomServer] = []

    async def run(self) -> None:
        """Run until `stop`; raise WriterDied when the store's writer is dead."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            async with asyncio.TaskGroup() as group:
                serving = group.create_task(self._web.serve())
                workers = [group.create_task(self._keep_running(name)) for name in self._workers]
                gc.collect()
                gc.freeze()
                self.ready.set()
                log.info("broker.ready", site=self.configuration.site)
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
        self._catalogue = load_catalogue(configuration)
        self._rules = Rules(
            quiet=configuration.studies.quiet_period, forward_to=configuration.studies.forward_to, zone=self.zone
        )
        self._outbox = Outbox(self._subscriptions(), self.ids, self.metrics)
        if configuration.database_file is not None:
            configuration.database_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.store = await Store.open(configuration.database, fan_out=self._outbox.fan_out, on_death=self._on_death)
        stack.push_async_callback(self.store.close)
        self._outbox.attach(self.store)
        await self.store.reset_executing()
        self._spool = Spool(configuration.spool, self.ids)
        stack.callback(self._spool.close)
        self._build_services()
        await self._adopt_spool()
        self._build_couriers()
        for server in self._build_dicom():
            await server.start()
            self._dicom.append(server)
            stack.push_async_callback(server.stop, 0)
        for name, listener in configuration.hl7.listeners.items():
            self._listeners[name] = self._build_listener(name, listener)
            await self._listeners[name].start()
            stack.push_async_callback(self._listeners[name].stop, 0)
        self._web = self._build_web()
        self._web.open()
        stack.callback(self._web.close)

    def _on_death(self, fault: BaseException) -> None:
        self._death = fault
        log.error("store.writer_died", error=str(fault))
        self.stop()

    async def _close_listeners(self) -> None:
        """Stop accepting, finish what is in flight."""
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners.values():
                group.create_task(listener.stop(GRACE_SECONDS))
            for server in self._dicom:
                group.create_task(server.stop(GRACE_SECONDS))

    async def _keep_running(self, name: str) -> None:
        """Run a worker for ever: one that fails starts again, with back-off."""
        wait = RESTART_SECONDS
        while True:
            try:
                await self._workers[name]()
            except Exception as fault:
                log.exception("worker.failed", worker=name, error=type(fault).__name__)
            await asyncio.sleep(wait)
            wait = min(60.0, wait * 2)

    def _build_services(self) -> None:
        nodes = self.configuration.dicom.nodes
        self._intake = Intake(self._outbox, lambda: self._catalogue, self.zone, now, self.ids, self.metrics)
        self._worklist = Worklist(
            self.store.worklist,
            {ae: frozenset((node.modality,)) for ae, node in nodes.items() if node.modality},
            {
                ae: ScannerRules(hide_started=node.hide_started, completed_visible=node.completed_visible)
                for ae, node in nodes.items()
            },
            now,
            self.metrics,
        )
        strict = frozenset(ae for ae, node in nodes.items() if node.strict)
        self._performed = PerformedSteps(self._outbox, self._rules, strict, now, self.ids, self.metrics)
        self._studies = Studies(self._outbox, self.store.studies, self._rules, now, self.ids, self.metrics)
        self._storage = Storage(self._spool, self._studies, now, IMPLEMENTATION_UID, IMPLEMENTATION_VERSION)
        self._workers["quiet time"] = self._studies.watch_quiet_time

    async def _adopt_spool(self) -> None:
        """Bring spool and database together: adopt whole files without a row, remove the rest."""
        adopted = await self._storage.adopt(await self.store.instances.paths())
        if adopted:
            log.info("spool.adopted", count=adopted)

    def _subscriptions(self) -> list[Subscription]:
        return [
            Subscription(destination=name, events=destination.events, needs_order=destination.type == "hl7")
            for name, destination in self.configuration.destinations.items()
        ]

    def _build_couriers(self) -> None:
        for name, destination in self.configuration.destinations.items():
            carrier = self._carrier(name, destination)
            courier = Courier(name, carrier, self.store.deliveries, self._outbox, now, self.ids, self.metrics)
            self._couriers.append(courier)
            self._workers[f"destination {name}"] = courier.run
        nodes = self.configuration.dicom.nodes
        private = {ae: frozenset(node.sop_classes) for ae, node in nodes.items() if node.sop_classes}
        self._acceptance = Acceptance(STORAGE_CLASSES, private)
        private_classes = frozenset().union(*private.values())
        for ae in self.configuration.studies.forward_to:
            node = nodes[ae]
            archive = ArchiveNode(self._archive_settings(ae, node), self._spool.locate)
            forwarder = Forwarder(
                ae,
                archive,
                self.store.deliveries,
                self._outbox,
                self._spool.remove,
                self._rules,
                now,
                self.ids,
                self.metrics,
            )
            self._couriers.append(forwarder)
            self._workers[f"archive {ae}"] = forwarder.run

            async def watch(ae: str = ae, archive: ArchiveNode = archive) -> None:
                await self._acceptance.watch(ae, archive, private_classes)

            self._workers[f"probe {ae}"] = watch

    def _archive_settings(self, ae: str, node: Node) -> ArchiveSettings:
        assert node.host is not None
        assert node.port is not None
        return ArchiveSettings(ae=ae, host=node.host, port=node.port, calling=self.configuration.dicom.ae_title)

    def _carrier(self, name: str, destination: HL7Destination | MqttDestination) -> Carrier:
        match destination:
            case HL7Destination():
                receiver = Receiver(
                    sending_application=destination.sending_application,
                    sending_facility=destination.sending_facility,
                    receiving_application=destination.receiving_application,
                    receiving_facility=destination.receiving_facility,
                    processing_id=destination.processing_id,
                )
                renderer = Renderer(lambda: self._catalogue, destination.mapping, receiver)
                seconds = destination.answer_timeout.total_seconds()
                client = MllpClient(destination.host, destination.port, answer_timeout=seconds)
                return HL7Carrier(client, renderer)
            case MqttDestination():
                site, phi, zone = self.configuration.site, destination.phi, self.zone
                settings = MqttSettings(
                    url=destination.url,
                    identifier=f"radbroker-{site}-{name}",
                    timeout_seconds=destination.answer_timeout.total_seconds(),
                )
                return MqttCarrier(
                    settings,
                    lambda event: (topic(event, site), cloud_event(event, site=site, phi=phi, zone=zone)),
                )

    def _build_listener(self, name: str, listener: Listener) -> MllpServer:
        rules = ListenerRules(
            name=name,
            charset=listener.charset,
            on_refused=listener.on_refused,
            unhandled=listener.unhandled,
            processing_ids=listener.processing_ids,
            transient=listener.transient,
        )
        return MllpServer(
            MllpListener(
                name=name,
                host=listener.host,
                port=listener.port,
                handle=lambda raw, peer: self._intake.handle(raw, rules),
                clock=now,
                ids=self.ids,
                tls=server_context(listener.tls),
                allow=listener.allow,
                max_message=listener.max_message,
                max_connections=listener.max_connections,
                frame_timeout_seconds=listener.frame_timeout.total_seconds(),
            )
        )

    def _build_dicom(self) -> list[DicomServer]:
        """Build the DICOM port, and beside it the one with TLS where it is configured."""
        dicom = self.configuration.dicom
        find = FindWorklist(self._worklist.search, self._asker, Answers())
        performed = MppsHandler(self._performed)
        services: dict[str, Service] = {WORKLIST_FIND: find, PERFORMED_STEP: performed}
        private = {uid for node in dicom.nodes.values() for uid in node.sop_classes}
        services.update(dict.fromkeys(STORAGE_CLASSES | private, self._storage))
        settings = ServerSettings(
            ae_titles=(dicom.ae_title,),
            host=dicom.host,
            port=dicom.port,
            max_associations=dicom.max_associations,
            max_pdu=dicom.max_pdu,
            artim_timeout_seconds=dicom.artim_timeout.total_seconds(),
        )
        all_settings = [settings]
        if dicom.tls is not None:
            all_settings.append(replace(settings, port=dicom.tls.port, tls=server_context(dicom.tls)))
        return [DicomServer(one, services, self._accepts, self._admit) for one in all_settings]

    def _accepts(self, abstract_syntax: str, offered: tuple[str, ...], calling_ae: str) -> Choice:
        if abstract_syntax in (WORKLIST_FIND, PERFORMED_STEP):
            return first_of(offered, DATA_SET_SYNTAXES)
        return self._acceptance.choose(abstract_syntax, offered, calling_ae)

    def _admit(self, calling: str, called: str, host: str) -> RejectReason | None:
        reason = self._refusal(calling, host)
        self.metrics.association(calling, "rejected" if reason else "accepted")
        return reason

    def _refusal(self, calling: str, host: str) -> RejectReason | None:
        dicom = self.configuration.dicom
        node = dicom.nodes.get(calling)
        if node is None:
            return RejectReason.CALLING_AE_NOT_RECOGNIZED if dicom.callers == "known" else None
        if node.match == "host" and node.host != host:
            return RejectReason.CALLING_AE_NOT_RECOGNIZED
        return None

    def _asker(self, ae: str) -> Asker:
        node = self.configuration.dicom.nodes.get(ae)
        charset = find_charset([node.charset]) if node and node.charset else None
        return Asker(caller=self._worklist.caller(ae), charset=charset)

    def _build_web(self) -> WebServer:
        web = self.configuration.web
        settings = WebSettings(
            host=web.host,
            port=web.port,
            auth=web.auth,
            zone=self.zone,
            site=self.configuration.site,
            version=version("radbroker"),
            socket=self.configuration.socket,
        )
        inspection = Inspection(
            orders=self.store.orders,
            messages=self.store.messages,
            deliveries=self.store.deliveries,
            alarms=self.store.events,
            worklist=self._worklist,
            health=self,
            writer=self._outbox,
            clock=now,
            ids=self.ids,
        )
        accounts = Accounts(reader=self.store.accounts, writer=self.store, clock=now)
        return WebServer(
            create(settings, inspection=inspection, accounts=accounts, metrics=self.metrics.exposition), settings
        )

    def parts(self) -> Sequence[Part]:
        """Tell how every listener, destination and the store are (services.inspect.Health)."""
        configuration = self.configuration
        accepting = self.ready.is_set() and not self.stopping.is_set()
        listeners = [
            (f"hl7 {name}", listener.host, listener.port) for name, listener in configuration.hl7.listeners.items()
        ]
        listeners.append((f"dicom {configuration.dicom.ae_title}", configuration.dicom.host, configuration.dicom.port))
        parts = [
            Part(name=name, kind="listener", is_up=accepting, address=f"{host}:{port}")
            for name, host, port in listeners
        ]
        for courier in self._couriers:
            health = courier.health
            name = courier.node if isinstance(courier, Forwarder) else courier.destination
            parts.append(
                Part(
                    name=name,
                    kind="destination",
                    is_up=health.is_up,
                    address=self._address(name),
                    error=health.error,
                )
            )
        parts.append(Part(name="store", kind="store", is_up=self.store.is_writable, error=self.store.problem))
        return parts

    def _address(self, name: str) -> str:
        match self.configuration.destinations.get(name) or self.configuration.dicom.nodes[name]:
            case HL7Destination() as one:
                return f"{one.host}:{one.port}"
            case MqttDestination() as one:
                return one.url.rpartition("@")[2].removeprefix("mqtt://")
            case Node() as one:
                return f"{one.host}:{one.port}"


def load_catalogue(configuration: Configuration) -> Catalogue:
    """Load the mappings; raise ConfigurationError when one has errors or a destination names one that is not there."""
    catalogue, problems = Catalogue.load(read_mapping_files(configuration.mappings))
    errors = [problem for problem in problems if problem.is_error]
    if catalogue is None or errors:
        text = "\n".join(str(problem) for problem in errors)
        raise ConfigurationError(
            f"mappings in {configuration.mappings} have errors\n{text}", code="C020", hint="broker check"
        )
    for name, destination in configuration.destinations.items():
        if isinstance(destination, HL7Destination) and catalogue.get(destination.mapping) is None:
            raise ConfigurationError(
                f"destinations.{name}: there is no mapping {destination.mapping} in {configuration.mappings}",
                code="C021",
                hint="broker check lists what is there",
            )
    return catalogue


def server_context(tls: ListenerTLS | None) -> ssl.SSLContext | None:
    """Make the TLS side of a listener; *client_ca* makes client certificates mandatory."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.client_ca)
    return context


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
