"""From the configuration to each adapter's own settings: one small function a piece.

For app.py, and for the verbs that open the database while no broker runs.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from zoneinfo import ZoneInfo

from broker.config.destinations import unfit
from broker.config.load import Unfit
from broker.config.mapping_files import read_mapping_files, stamp
from broker.config.model import Configuration, Dicom, HL7Destination, Listener, ListenerTLS, MqttDestination
from broker.dicom.archive import ArchiveSettings
from broker.dicom.server import ServerSettings
from broker.errors import ConfigurationError
from broker.mapping.catalogue import Catalogue
from broker.mapping.problems import render
from broker.mllp.carrier import HL7Carrier
from broker.mllp.client import MllpClient
from broker.mllp.server import Handle, MllpListener
from broker.observe.metrics import Metrics
from broker.ports import Ids
from broker.services.cloudevents import cloud_event, topic
from broker.services.mappings import Mappings
from broker.services.notices import Carrier, Subscription
from broker.services.progress import Rules
from broker.services.received import ListenerRules
from broker.services.render import JsonRenderer, Receiver, Renderer
from broker.services.worklist import ScannerRules
from broker.store.store import Store
from broker.ul.pdu import RejectReason
from broker.web.settings import WebSettings


def now() -> datetime:
    """Tell the time in UTC."""
    return datetime.now(UTC)


def load_catalogue(configuration: Configuration) -> Catalogue:
    """Load the mappings; raise ConfigurationError when one has errors, Unfit when a destination names none that fits."""
    catalogue, problems = Catalogue.load(read_mapping_files(configuration.mappings))
    errors = [problem for problem in problems if problem.is_error]
    if catalogue is None or errors:
        raise ConfigurationError(
            f"mappings in {configuration.mappings} cannot be used\n{render(errors) or 'there is none'}",
            code="C020",
            hint="broker check shows each problem with its line",
        )
    complaints = list(unfit(configuration, catalogue))
    if complaints:
        raise Unfit(complaints)
    return catalogue


def mappings(configuration: Configuration, catalogue: Catalogue | None, store: Store, metrics: Metrics) -> Mappings:
    """Make what keeps the mappings in force; without a *catalogue* none are."""
    folder = configuration.mappings
    return Mappings(
        catalogue=catalogue,
        read=lambda: read_mapping_files(folder),
        stamp=lambda: stamp(folder),
        unfit=lambda catalogue: [message for _, message, _ in unfit(configuration, catalogue)],
        sets=store.mapping_sets,
        messages=store.messages,
        writer=store,
        zone=ZoneInfo(configuration.timezone),
        clock=now,
        counters=metrics,
    )


def server_context(tls: ListenerTLS | None) -> ssl.SSLContext | None:
    """Make the TLS side of a listener; *client_ca* makes client certificates mandatory."""
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.client_ca)
    except (ssl.SSLError, OSError) as fault:
        raise ConfigurationError(
            f"tls: {tls.certificate}, {tls.key} or {tls.client_ca} cannot be used: {fault}",
            code="C022",
            hint="PEM files are needed, and the key must belong to the certificate",
        ) from fault
    return context


def listener_rules(name: str, listener: Listener) -> ListenerRules:
    """Give what intake must know of a listener."""
    return ListenerRules(
        name=name,
        charset=listener.charset,
        on_refused=listener.on_refused,
        unhandled=listener.unhandled,
        processing_ids=listener.processing_ids,
        transient=listener.transient,
    )


def all_listener_rules(configuration: Configuration) -> dict[str, ListenerRules]:
    """Give the rules of every listener by its name."""
    return {name: listener_rules(name, listener) for name, listener in configuration.hl7.listeners.items()}


def mllp_listener(name: str, listener: Listener, handle: Handle, ids: Ids) -> MllpListener:
    """Give the settings of an MLLP port."""
    return MllpListener(
        name=name,
        host=listener.host,
        port=listener.port,
        handle=handle,
        clock=now,
        ids=ids,
        tls=server_context(listener.tls),
        allow=listener.allow,
        max_message=listener.max_message,
        max_connections=listener.max_connections,
        frame_timeout_seconds=listener.frame_timeout.total_seconds(),
    )


def dicom_ports(dicom: Dicom) -> list[ServerSettings]:
    """Give the settings of the DICOM port, and of the one with TLS beside it where it is configured."""
    plain = ServerSettings(
        ae_titles=(dicom.ae_title,),
        host=dicom.host,
        port=dicom.port,
        max_associations=dicom.max_associations,
        max_pdu=dicom.max_pdu,
        artim_timeout_seconds=dicom.artim_timeout.total_seconds(),
    )
    if dicom.tls is None:
        return [plain]
    return [plain, replace(plain, port=dicom.tls.port, tls=server_context(dicom.tls))]


def hosts(dicom: Dicom) -> dict[str, frozenset[str]]:
    """Give the addresses of the nodes that count by host too; a name that cannot be resolved now has none."""
    return {ae: _addresses(node.host) for ae, node in dicom.nodes.items() if node.match == "host" and node.host}


def _addresses(host: str) -> frozenset[str]:
    try:
        return frozenset(str(address[4][0]) for address in socket.getaddrinfo(host, None))
    except OSError:
        return frozenset()


def refusal(dicom: Dicom, known_hosts: Mapping[str, frozenset[str]], calling: str, host: str) -> RejectReason | None:
    """Say why *calling* at *host* may not open an association, if so."""
    if calling not in dicom.nodes:
        return RejectReason.CALLING_AE_NOT_RECOGNIZED if dicom.callers == "known" else None
    if calling in known_hosts and host not in known_hosts[calling]:
        return RejectReason.CALLING_AE_NOT_RECOGNIZED
    return None


def modalities(dicom: Dicom) -> dict[str, frozenset[str]]:
    """Give the modality of every scanner that has one."""
    return {ae: frozenset((node.modality,)) for ae, node in dicom.nodes.items() if node.modality}


def scanner_rules(dicom: Dicom) -> dict[str, ScannerRules]:
    """Give what the worklist must know of every scanner."""
    return {
        ae: ScannerRules(hide_started=node.hide_started, completed_visible=node.completed_visible)
        for ae, node in dicom.nodes.items()
    }


def rules(configuration: Configuration) -> Rules:
    """Give what the site says of studies."""
    studies, nodes = configuration.studies, configuration.dicom.nodes.items()
    return Rules(
        quiet=studies.quiet_period,
        forward_to=studies.forward_to,
        zone=ZoneInfo(configuration.timezone),
        is_holding=studies.on_mismatch == "hold",
        holding_of={ae: node.on_mismatch == "hold" for ae, node in nodes if node.on_mismatch},
        hold_max=studies.hold_max,
    )


def private_classes(dicom: Dicom) -> dict[str, frozenset[str]]:
    """Give the private storage classes that nodes are configured for."""
    return {ae: frozenset(node.sop_classes) for ae, node in dicom.nodes.items() if node.sop_classes}


def archive_settings(dicom: Dicom, ae: str) -> ArchiveSettings:
    """Give the settings of a node that objects are forwarded to."""
    node = dicom.nodes[ae]
    assert node.host is not None
    assert node.port is not None
    return ArchiveSettings(ae=ae, host=node.host, port=node.port, calling=dicom.ae_title)


def subscriptions(configuration: Configuration) -> list[Subscription]:
    """Give who wants to hear what."""
    return [
        Subscription(destination=name, events=destination.events, needs_order=destination.type == "hl7")
        for name, destination in configuration.destinations.items()
    ]


def carrier(configuration: Configuration, name: str, catalogue: Callable[[], Catalogue]) -> Carrier:
    """Make what speaks to the destination *name*; *catalogue* gives the mappings in force."""
    destination = configuration.destinations[name]
    match destination:
        case HL7Destination():
            receiver = Receiver(
                sending_application=destination.sending_application,
                sending_facility=destination.sending_facility,
                receiving_application=destination.receiving_application,
                receiving_facility=destination.receiving_facility,
                processing_id=destination.processing_id,
            )
            renderer = Renderer(catalogue, destination.mapping, receiver)
            seconds = destination.answer_timeout.total_seconds()
            client = MllpClient(destination.host, destination.port, answer_timeout=seconds)
            return HL7Carrier(client, renderer)
        case MqttDestination():
            from broker.mqtt.carrier import MqttCarrier, MqttSettings  # its library only where it is used

            site, phi, zone = configuration.site, destination.phi, ZoneInfo(configuration.timezone)
            settings = MqttSettings(
                url=destination.url,
                identifier=f"radbroker-{site}-{name}",
                timeout_seconds=destination.answer_timeout.total_seconds(),
            )
            written = (
                JsonRenderer(catalogue, destination.mapping)
                if destination.mapping
                else lambda event: cloud_event(event, site=site, phi=phi, zone=zone)
            )
            return MqttCarrier(settings, lambda event: (topic(event, site), written(event)))


def web_settings(configuration: Configuration) -> WebSettings:
    """Give the settings of the console."""
    web = configuration.web
    return WebSettings(
        host=web.host,
        port=web.port,
        auth=web.auth,
        zone=ZoneInfo(configuration.timezone),
        site=configuration.site,
        version=version("radbroker"),
        socket=configuration.socket,
        told_by={name: one.mapping for name, one in configuration.destinations.items() if one.mapping},
    )


def addresses(configuration: Configuration) -> Mapping[str, str]:
    """Give the address of every listener, destination and node, as a person would write it."""
    dicom = configuration.dicom
    found = {ae: f"{node.host}:{node.port}" for ae, node in dicom.nodes.items()}
    for name, destination in configuration.destinations.items():
        match destination:
            case HL7Destination():
                found[name] = f"{destination.host}:{destination.port}"
            case MqttDestination():
                found[name] = destination.url.partition("//")[2].rpartition("@")[2]
    for name, listener in configuration.hl7.listeners.items():
        found[f"hl7 {name}"] = f"{listener.host}:{listener.port}"
    found[f"dicom {dicom.ae_title}"] = f"{dicom.host}:{dicom.port}"
    return found
