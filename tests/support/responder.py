"""An MQTT 5 responder, as a flow would be: it answers requests on their response topics."""

import asyncio
import itertools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.support.mosquitto import HOST
from tests.support.waiting import eventually

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    payload: bytes
    response_topic: str
    correlation: bytes | None


@dataclass
class Responder:
    """Answers each request on a topic with what `answer` makes of it; None: with silence."""

    port: int
    topic: str
    answer: Callable[[bytes], bytes | None]
    correlates: bool = True
    """Whether the correlation data comes back."""
    content_type: str | None = None
    asked: list[Asked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"responder-{os.getpid()}-{next(_serial)}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.on_connect = lambda client, *_: client.subscribe(self.topic, 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._respond

    async def __aenter__(self) -> Self:
        self._client.connect_async(HOST, self.port)
        self._client.loop_start()
        await eventually(self._subscribed.is_set)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def _respond(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        said = message.properties
        topic = getattr(said, "ResponseTopic", "")
        payload = bytes(message.payload)
        self.asked.append(Asked(payload, topic, getattr(said, "CorrelationData", None)))
        answer = self.answer(payload)
        if answer is not None and topic:
            self.say(topic, answer, self.asked[-1].correlation if self.correlates else None)

    def say(self, topic: str, payload: bytes, correlation: bytes | None = None) -> None:
        """Publish an answer to whatever topic."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it so
        if correlation is not None:
            properties.CorrelationData = correlation
        if self.content_type is not None:
            properties.ContentType = self.content_type
        self._client.publish(topic, payload, 1, properties=properties)
