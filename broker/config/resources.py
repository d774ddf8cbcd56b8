"""Try what the broker needs of its machine before anything is started: ports, folders, certificates, the driver."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

from broker.config.checks import listening
from broker.config.load import Loaded
from broker.config.model import Configuration, ListenerTLS
from broker.config.source import Complaint, Location

_WHY: Mapping[int, tuple[str, str]] = {
    errno.EADDRINUSE: ("is in use", "stop what listens there, or choose another"),
    errno.EACCES: ("needs rights that this user does not have", "choose one above 1023"),
    errno.EADDRNOTAVAIL: ("cannot be had: no address of this machine", "host: 0.0.0.0 means all its addresses"),
}


def require_resources(loaded: Loaded) -> None:
    """Raise InvalidConfiguration naming every port, folder, certificate and driver that cannot be had.

    Ports are bound for a moment, and folders that are not there are made, to find out.
    """
    configuration = loaded.configuration
    complaints = [
        *_folders(configuration),
        *_driver(configuration),
        *_certificates(configuration),
        *_ports(configuration),
    ]
    if complaints:
        raise loaded.invalid(complaints)


def _folders(configuration: Configuration) -> Iterator[Complaint]:
    file = configuration.database_file
    if file is not None:
        yield from _unwritable(("database",), file.parent)
    yield from _unwritable(("spool",), configuration.spool)


def _unwritable(location: Location, folder: Path) -> Iterator[Complaint]:
    """Say why nothing can be written in *folder*, which is made when it is not there."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        yield location, f"{there} is not a folder", "choose another"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield location, f"this user cannot write in {there}", "give the right to, or choose another folder"
    else:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            TemporaryFile(dir=folder).close()
        except OSError as fault:
            yield location, f"nothing can be written in {folder}: {fault.strerror}", "choose another folder"


def _driver(configuration: Configuration) -> Iterator[Complaint]:
    if configuration.database_file is None and find_spec("psycopg") is None:
        yield ("database",), "PostgreSQL's driver is not installed", "pip install -c constraints.txt '.[postgresql]'"


def _certificates(configuration: Configuration) -> Iterator[Complaint]:
    for name, listener in configuration.hl7.listeners.items():
        if listener.tls:
            yield from _unusable(("hl7", "listeners", name, "tls"), listener.tls)
    if configuration.dicom.tls:
        yield from _unusable(("dicom", "tls"), configuration.dicom.tls)


def _unusable(location: Location, tls: ListenerTLS) -> Iterator[Complaint]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=lambda: "")
    except OSError as fault:
        hint = "two PEM files that belong together, the key without a password"
        yield (*location, "certificate"), f"certificate and key cannot be used{_reason(fault)}", hint
    try:
        if tls.client_ca:
            context.load_verify_locations(tls.client_ca)
    except OSError as fault:
        yield (*location, "client_ca"), f"cannot be used{_reason(fault)}", "a PEM file of one or more certificates"


def _reason(fault: OSError) -> str:
    """Give the system's reason, as in "Permission denied"; OpenSSL's own are no help."""
    return "" if isinstance(fault, ssl.SSLError) else f": {fault.strerror}"


def _ports(configuration: Configuration) -> Iterator[Complaint]:
    for location, (host, port) in listening(configuration).items():
        why = _why_not(host, port)
        if why:
            yield location, f"{host}:{port} {why[0]}", why[1]


def _why_not(host: str, port: int) -> tuple[str, str] | None:
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in addresses:
            with closing(socket.socket(family, kind, protocol)) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        return _WHY.get(error.errno or 0, (f"cannot be had: {error.strerror}", ""))
    return None
