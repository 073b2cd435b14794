"""A small MQTT client for status, beside the path's own connection, so that it never holds up a webhook."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from bridge.config.model import BrokerSettings
from bridge.targets.base import TargetState
from bridge.targets.mqtt_answers import Response
from bridge.targets.mqtt_codes import name_of
from bridge.targets.mqtt_publication import (
    Limits,
    PackedProperties,
    Publication,
    packet_size,
    text_properties,
)
from bridge.targets.mqtt_session import Ended, MqttSession

log = logging.getLogger(__name__)

WINDOW: Final = 16
"""Publications not yet acknowledged."""
MOST_EVENTS: Final = 256
"""That wait; then the oldest give way."""
EVENT_SECONDS: Final = 30.0
"""An event tells of a moment: one that waited longer is not sent any more."""
ACKNOWLEDGE_SECONDS: Final = 30.0
REFUSED_SECONDS: Final = 900.0
"""Until a topic that the broker refused is tried again."""

_TEXT: Final = text_properties("text/plain")
_JSON: Final = text_properties("application/json")

Take = Callable[[str, bytes, bool], None]
"""Takes a message that was subscribed to: topic, payload, and whether it was retained."""


class Publisher:
    """Keeps a broker's retained topics as they should be, and sends events while they are news.

    Each connection begins with all that is retained, for the broker may have lost it. Everything runs on
    the event loop's thread.

    Args:
        settings: of the broker.
        client_id: of this connection, which no other may have.
        take: gets what comes on `filters`.
        filters: what to subscribe to; the values say whether retained messages are wanted.
        will: the retained message (topic, payload) that the broker publishes when we are gone.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        client_id: str,
        take: Take,
        *,
        filters: Mapping[str, bool],
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.dropped = 0
        """Events that were not sent."""
        self.state = TargetState("connecting", since=time.time())
        self._name = f"status on {settings.target}"
        self._version5 = settings.protocol == "5"
        self._filters = filters
        self._take = take
        self._limits = Limits()
        last = None if will is None else self._publication(*will, retain=True)
        self._session = MqttSession(settings, client_id, self, last)
        self._loop = asyncio.get_running_loop()
        self._retained: dict[str, bytes] = {}
        self._unsent: dict[str, None] = {}
        """Retained topics that the broker has to be told of, in order."""
        self._events: deque[tuple[float, str, bytes]] = deque()
        self._in_flight: dict[int, tuple[str, float]] = {}
        """By packet ID, the oldest first: the topic, and when it was sent."""
        self._refused: dict[str, float] = {}
        """Topics, and when they are tried again."""
        self._suspect = ""
        """The topic that was the oldest in flight when a connection was last lost."""
        self._careful = False
        """One at a time: a connection was lost over a publication, and the next one shows over which."""
        self._settled = asyncio.Event()

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self._session.start()

    def retain(self, topic: str, payload: bytes) -> None:
        """Have the broker keep this for the topic; "" has it forget the topic."""
        if self._retained.get(topic) != payload:
            self._retained[topic] = payload
            self._unsent[topic] = None
            self._pump()

    def send(self, topic: str, payload: bytes) -> None:
        """Publish an event, unless the broker takes none for too long."""
        if len(self._events) >= MOST_EVENTS:
            self._events.popleft()
            self.dropped += 1
        self._events.append((self._loop.time(), topic, payload))
        self._pump()

    def repeat(self) -> None:
        """Publish again all that is retained."""
        self._unsent = dict.fromkeys(self._retained)
        self._pump()

    async def settled(self, timeout: float) -> bool:
        """Wait until the broker has acknowledged everything; whether it did."""
        try:
            async with asyncio.timeout(timeout):
                while not self._is_settled():
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Disconnect; no will is published where that goes well."""
        await self._session.close()

    def _is_settled(self) -> bool:
        return self._session.up and not (self._unsent or self._events or self._in_flight)

    def _pump(self) -> None:
        """Send what there is, retained topics first, within the window."""
        window = 1 if self._careful else min(WINDOW, self._limits.receive_maximum)
        while self._session.up and len(self._in_flight) < window:
            if self._unsent:
                topic = next(iter(self._unsent))
                del self._unsent[topic]
                self._publish(self._publication(topic, self._retained[topic], retain=True))
            elif self._events:
                at, topic, payload = self._events.popleft()
                if self._loop.time() - at > EVENT_SECONDS:
                    self.dropped += 1
                else:
                    self._publish(self._publication(topic, payload, retain=False))
            else:
                return

    def _publication(self, topic: str, payload: bytes, *, retain: bool) -> Publication:
        properties: PackedProperties | None = None
        if self._version5:
            properties = _JSON if payload[:1] in {b"{", b"["} else _TEXT
        return Publication(topic, payload, 1, retain, properties)

    def _publish(self, publication: Publication) -> None:
        topic, now = publication.topic, self._loop.time()
        if now < self._refused.get(topic, now):
            return
        properties = publication.properties.pack() if publication.properties else b""
        if packet_size(topic, publication.payload, properties) > self._limits.maximum_packet:
            self._give_up(topic, "it is longer than the broker takes")
            return
        self._in_flight[self._session.publish(publication).mid] = topic, now

    def _give_up(self, topic: str, reason: str) -> None:
        """Leave a topic alone for a while."""
        if topic not in self._refused:
            log.warning("%s: %s can't be published: %s", self._name, topic, reason)
        self._refused[topic] = self._loop.time() + REFUSED_SECONDS

    # What the session says

    def greeted(self, limits: Limits, *, resumed: bool) -> None:  # noqa: ARG002  # the port's signature
        """A new connection says everything afresh: nothing of the old one is sent again."""
        self._limits = limits
        self._session.drop()
        self._in_flight.clear()

    def connected(self) -> None:
        """Up: subscribe, and say everything that is retained."""
        self._become("up", "")
        for topic, retained in self._filters.items():
            self._session.subscribe(topic, retained=retained)
        self.repeat()

    def acknowledged(self, codes: list[tuple[int, int]]) -> None:
        """Make room."""
        for mid, code in codes:
            topic, _ = self._in_flight.pop(mid, ("", 0.0))
            if code >= 0x80:
                self._give_up(topic, name_of(code))
            else:
                self._refused.pop(topic, None)
                self._suspect = "" if topic == self._suspect else self._suspect
        self._pump()
        self._careful = self._careful and not self._is_settled()
        self._settled.set()

    def responded(self, response: Response) -> None:
        """A message that was subscribed to."""
        self._take(response.topic, response.payload, response.retained)

    def unsubscribed(self, reason: str) -> None:
        """Nothing will be heard."""
        log.warning("%s: the broker refuses a subscription: %s", self._name, reason)

    def written(self) -> None:
        """Nothing is sent at QoS 0."""

    def overdue(self) -> bool:
        """Whether the oldest publication waits for too long."""
        oldest = next(iter(self._in_flight.values()), None)
        return oldest is not None and self._loop.time() - oldest[1] > ACKNOWLEDGE_SECONDS

    def disconnected(self, ended: Ended) -> bool:
        """Down; the next connection begins afresh."""
        if self.state.name == "up" and self._in_flight and not self.overdue():
            self._judge()
        self._in_flight.clear()
        slow = ended.needs_a_person or ended.taken_over
        self._become("refused" if slow else "down", ended.reason)
        return slow

    def _judge(self) -> None:
        """A broker may end a connection over a topic that it refuses, and give no reason."""
        topic = next(iter(self._in_flight.values()))[0]
        if len(self._in_flight) == 1 and topic == self._suspect:
            self._give_up(topic, "the broker ended connections over it")
        self._suspect, self._careful = topic, True

    def _become(self, name: str, reason: str) -> None:
        """One line in the log when it changes."""
        if name != self.state.name:
            level = logging.INFO if name == "up" else logging.WARNING
            log.log(level, "%s: %s%s", self._name, name, f": {reason}" if reason else "")
            self.state = TargetState(name, reason, time.time())
        self._settled.set()
