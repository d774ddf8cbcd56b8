"""Who the broker speaks to: a RIS, an archive, an MQTT broker."""

from __future__ import annotations

import json
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import yaml
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.transport import ThreadedAssociationServer

from peers.programs import search_program
from peers.waiting import eventually, free_port, is_open


class Ris:
    """A RIS: keeps what it is sent; *answer* is its MSA-1, or None for silence; *answered_id* a wrong MSA-2."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.messages: list[str] = []
        self.answer: str | None = "AA"
        self.answered_id = ""
        ris = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                content = b""
                while chunk := self.request.recv(65536):
                    content += chunk
                    while b"\x1c\r" in content:
                        frame, _, content = content.partition(b"\x1c\r")
                        message = frame.lstrip(b"\x0b").decode()
                        ris.messages.append(message)
                        if ris.answer is not None:
                            control_id = ris.answered_id or message.split("|")[9]
                            ack = f"MSH|^~\\&|RIS|H|B|R|20260401||ACK|A{len(ris.messages)}|P|2.5.1\rMSA|{ris.answer}|{control_id}\r"
                            self.request.sendall(b"\x0b" + ack.encode() + b"\x1c\r")

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Archive:
    """An archive of pynetdicom's: keeps the objects it is sent, the newest by SOP Instance UID, all in *received*."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.objects: dict[str, bytes] = {}
        self.received: list[tuple[str, bytes]] = []
        entity = AE(ae_title="PACS")
        entity.maximum_associations = 20
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        entity.add_supported_context("1.2.840.10008.1.1")

        def keep(event: Any) -> int:
            uid, data_set = str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()
            self.objects[uid] = data_set
            self.received.append((uid, data_set))
            return 0x0000

        self.server: Any = entity.make_server(
            ("127.0.0.1", self.port), evt_handlers=[(evt.EVT_C_STORE, keep)], server_class=ThreadedAssociationServer
        )
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        socketserver.TCPServer.shutdown(self.server)
        self.server.server_close()


class Bus:
    """An MQTT broker and one subscriber to everything below radbroker/."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.events: list[tuple[str, dict[str, Any]]] = []
        mosquitto = search_program("mosquitto")
        configuration = folder / f"bus-{self.port}.conf"
        if mosquitto:
            configuration.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\n")
            command = [mosquitto, "-c", str(configuration)]
        else:
            configuration.write_text(
                yaml.safe_dump(
                    {
                        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{self.port}"}},
                        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
                    }
                )
            )
            command = [str(Path(sys.executable).parent / "amqtt"), "-c", str(configuration)]
        self.log = (folder / f"bus-{self.port}.log").open("wb")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        eventually(lambda: is_open(self.port))
        self._subscribe()

    def _subscribe(self) -> None:
        subscribed = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self.client.on_connect = lambda client, *_: client.subscribe("radbroker/#", qos=1)
        self.client.on_subscribe = lambda *_: subscribed.set()
        self.client.on_message = lambda _c, _u, message: self.events.append(
            (message.topic, json.loads(message.payload))
        )
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        assert subscribed.wait(60)

    def of_type(self, type: str) -> list[dict[str, Any]]:
        """Give the events of *type* (without the prefix) so far."""
        return [event for _topic, event in self.events if event["type"] == f"radbroker.{type}"]

    def stop(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.process.terminate()
        self.process.wait(60)
        self.log.close()
