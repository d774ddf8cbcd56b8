"""A way to somebody that can lose an answer."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading

from peers.waiting import free_port

MLLP_ANSWER, DICOM_ANSWER = b"\x0b", b"\x04"
"""What an answer begins with: VT; P-DATA-TF (the answer to an association request begins otherwise)."""


class Proxy:
    """Carries bytes to *target* and back; once `lose_next` is said, the next answer is swallowed and the line cut."""

    def __init__(self, target: int, answer: bytes) -> None:
        self.port = free_port()
        self.lost = 0
        self._target, self._answer = target, answer
        self._is_losing = threading.Event()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def lose_next(self) -> None:
        self._is_losing.set()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as called:
            back = threading.Thread(target=self._bring_back, args=(called, caller), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while chunk := caller.recv(65536):
                    called.sendall(chunk)
                called.shutdown(socket.SHUT_WR)
            back.join()

    def _bring_back(self, called: socket.socket, caller: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := called.recv(65536):
                if self._is_losing.is_set() and chunk.startswith(self._answer):
                    self._is_losing.clear()
                    self.lost += 1
                    break
                caller.sendall(chunk)
        for end in (caller, called):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
