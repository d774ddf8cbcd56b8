"""What must go together: checks over a whole configuration, each finding with the way to the value it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from broker.config.model import Configuration
from broker.config.problems import did_you_mean
from broker.config.source import Location

_EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that does not go together; *about* names the blocks whose own mistakes would make it doubtful."""

    location: Location
    message: str
    hint: str
    about: tuple[Location, ...]


def check(configuration: Configuration) -> Iterator[Finding]:
    """Find everything in *configuration* that does not go together."""
    yield from _listening_twice(configuration)
    yield from _open_to_everybody(configuration)
    yield from _unknown_archives(configuration)
    yield from _nodes_without_host(configuration)


def listening(configuration: Configuration) -> Mapping[Location, tuple[str, int]]:
    """List every host and port that the broker will listen on, by the way to its port."""
    dicom, web = configuration.dicom, configuration.web
    found: dict[Location, tuple[str, int]] = {
        ("hl7", "listeners", name, "port"): (listener.host, listener.port)
        for name, listener in configuration.hl7.listeners.items()
    }
    found["dicom", "port"] = dicom.host, dicom.port
    if dicom.tls:
        found["dicom", "tls", "port"] = dicom.host, dicom.tls.port
    found["web", "port"] = web.host, web.port
    return found


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach *host*."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listening_twice(configuration: Configuration) -> Iterator[Finding]:
    ports = listening(configuration)
    seen: dict[Location, tuple[str, int]] = {}
    for location, (host, port) in ports.items():
        for other, (other_host, other_port) in seen.items():
            if port and port == other_port and _overlap(host, other_host):
                message = f"port {port} is already that of {'.'.join(map(str, other[:-1]))}"
                yield Finding(location=location, message=message, hint="one port each", about=(location, other))
                break
        seen[location] = host, port


def _overlap(host: str, other: str) -> bool:
    return host == other or host in _EVERYWHERE or other in _EVERYWHERE


def _open_to_everybody(configuration: Configuration) -> Iterator[Finding]:
    dicom, web = configuration.dicom, configuration.web
    if "callers" not in dicom.model_fields_set and not is_loopback(dicom.host):
        message = f"any AE title may call on {dicom.host}"
        hint = "write callers: known, or callers: any if that is meant"
        yield Finding(location=("dicom", "host"), message=message, hint=hint, about=(("dicom", "callers"),))
    if web.auth == "none" and not is_loopback(web.host):
        message = f"without a password only a loopback host is allowed, not {web.host}"
        hint = "write auth: password, or host: 127.0.0.1"
        yield Finding(location=("web", "auth"), message=message, hint=hint, about=(("web",),))


def _unknown_archives(configuration: Configuration) -> Iterator[Finding]:
    nodes = configuration.dicom.nodes
    for index, title in enumerate(configuration.studies.forward_to):
        location: Location = ("studies", "forward_to", index)
        about: tuple[Location, ...] = (("dicom", "nodes", title),)
        if title not in nodes:
            hint = did_you_mean(title, nodes) or "add it to dicom.nodes with host and port"
            yield Finding(location=location, message=f"no node '{title}'", hint=hint, about=about)
        elif nodes[title].host is None or nodes[title].port is None:
            hint = f"add host and port to dicom.nodes.{title}"
            yield Finding(location=location, message=f"node '{title}' has no address", hint=hint, about=about)


def _nodes_without_host(configuration: Configuration) -> Iterator[Finding]:
    for title, node in configuration.dicom.nodes.items():
        if node.match == "host" and node.host is None:
            location: Location = ("dicom", "nodes", title, "match")
            hint = f"add host to dicom.nodes.{title}"
            about: tuple[Location, ...] = (("dicom", "nodes", title),)
            yield Finding(location=location, message="match: host needs a host", hint=hint, about=about)
