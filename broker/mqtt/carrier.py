"""Carries events to an MQTT broker over one lasting connection, QoS 1: delivered when the broker has confirmed it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiomqtt

from broker.domain.events import Event
from broker.domain.records import Delivery
from broker.errors import BrokerError
from broker.services.notices import Outcome

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Where the MQTT broker is: ``mqtt://user:password@host:port`` or ``mqtts://``."""

    url: str
    identifier: str
    timeout_seconds: float = 30.0


Published = Callable[[Event], tuple[str, bytes]]
"""Event -> (topic, payload)."""


class MqttCarrier:
    """Publishes each event and waits for its PUBACK."""

    def __init__(self, settings: MqttSettings, published: Published) -> None:
        self._settings = settings
        self._published = published
        self._client: aiomqtt.Client | None = None

    async def carry(self, delivery: Delivery, event: Event) -> Outcome:
        """Publish *event* (see services.notices.Carrier)."""
        try:
            topic, payload = self._published(event)
        except BrokerError as fault:
            return Outcome(kind="dead", text=str(fault))
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                client = await self._connected()
                await client.publish(topic, payload, qos=1)
        except (aiomqtt.MqttError, OSError, TimeoutError) as fault:
            was_connected = self._client is not None
            await self.close()
            text = f"MQTT: {str(fault) or 'no answer in time'}"
            return Outcome(kind="broken" if was_connected else "down", text=text)
        return Outcome(kind="delivered")

    async def _connected(self) -> aiomqtt.Client:
        if self._client is None:
            parts = urlsplit(self._settings.url)
            client = aiomqtt.Client(
                hostname=parts.hostname or "127.0.0.1",
                port=parts.port or DEFAULT_PORTS[parts.scheme],
                username=unquote(parts.username) if parts.username else None,
                password=unquote(parts.password) if parts.password else None,
                identifier=self._settings.identifier,
                tls_params=aiomqtt.TLSParameters() if parts.scheme == "mqtts" else None,
                timeout=self._settings.timeout_seconds,
            )
            await client.__aenter__()
            self._client = client
        return self._client

    async def close(self) -> None:
        """Leave the MQTT broker."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(aiomqtt.MqttError, OSError, TimeoutError):
                async with asyncio.timeout(5):
                    await client.__aexit__(None, None, None)
