"""Try the ports that the broker will listen on, before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping
from contextlib import closing

from broker.config.checks import listening
from broker.config.load import Loaded
from broker.config.problems import InvalidConfiguration, Problem

_WHY: Mapping[int, tuple[str, str]] = {
    errno.EADDRINUSE: ("is in use", "stop what listens there, or choose another"),
    errno.EACCES: ("needs rights that this user does not have", "choose one above 1023"),
    errno.EADDRNOTAVAIL: ("cannot be had: no address of this machine", "host: 0.0.0.0 means all its addresses"),
}


def require_free_ports(loaded: Loaded) -> None:
    """Raise InvalidConfiguration naming every port that cannot be listened on; bind each for a moment to find out."""
    problems: list[Problem] = []
    for location, (host, port) in listening(loaded.configuration).items():
        why = _why_not(host, port)
        if why:
            place = loaded.root.nearest(location).place
            problems.append(Problem(place=place, message=f"{host}:{port} {why[0]}", hint=why[1]))
    if problems:
        raise InvalidConfiguration(problems, file=loaded.file, text=loaded.text)


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
