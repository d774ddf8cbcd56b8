"""What every MLLP socket is set to."""

from __future__ import annotations

import asyncio
import socket

_KEEPALIVE_SECONDS = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A peer that vanished is noticed after two minutes; TCP_KEEPCNT is a count. Not every system has all three."""


def tune(transport: asyncio.BaseTransport) -> None:
    """Send without delay, and let the system notice a peer that has vanished."""
    peer: socket.socket = transport.get_extra_info("socket")
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE_SECONDS.items():
        if hasattr(socket, option):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
