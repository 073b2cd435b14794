"""A short visit to a broker, which leaves nothing behind."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from bridge.config.model import BrokerSettings
from bridge.errors import BridgeError, Fault
from bridge.targets.mqtt_answers import Response
from bridge.targets.mqtt_client import PahoClient
from bridge.targets.mqtt_publication import Limits, PackedProperties, Publication
from bridge.targets.mqtt_session import Ended, MqttSession

CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 5.0
_NO_PROPERTIES: Final = PackedProperties(b"\0")


class ProbeFailed(BridgeError):
    """The broker ended the visit, or does not answer.

    Attributes:
        refused: it answered and does not want us.
    """

    fault = Fault.TARGET

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


class WithholdingClient(PahoClient):
    """Never releases what it published at QoS 2, and has the broker forget it as it leaves.

    The broker answers such a message's PUBLISH with PUBREC, which says whether it is allowed (MQTT 5.0,
    section 3.5.2.1). A broker that waits for PUBREL before it hands it on never does so.
    """

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet = self._in_packet["packet"]
        self.acknowledged.append((packet[0] << 8 | packet[1], packet[2] if len(packet) > 2 else 0))
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def disconnect(self, reasoncode: Any = None, properties: Properties | None = None) -> MQTTErrorCode:
        """End the session with the connection."""
        if self._version5:
            properties = Properties(PacketTypes.DISCONNECT)  # type: ignore[no-untyped-call]  # paho leaves it so
            properties.SessionExpiryInterval = 0
        return super().disconnect(reasoncode, properties)


class Probe:
    """One connection to a broker, as an asynchronous context manager. An `Owner` of its session.

    Attributes:
        limits: what the broker takes.
        heard: payloads of messages that were subscribed to.
    """

    def __init__(self, settings: BrokerSettings, node: str) -> None:
        self.limits = Limits()
        self.heard: list[bytes] = []
        own = settings.client_id or f"relay-bridge-{node}-{settings.name}"
        self._session = MqttSession(settings, f"{own}-doctor", self, make_client=WithholdingClient)
        self._codes: dict[int, int] = {}
        self._ended: Ended | None = None
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            ProbeFailed: that can't be done.
        """
        self._session.start()
        try:
            await self.wait(lambda: self._session.up, CONNECT_SECONDS)
        except BaseException:
            await self._session.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def publish(self, topic: str, payload: bytes, qos: int) -> int:
        """Publish, and return the reason code of the answer.

        Raises:
            ProbeFailed: there is none.
        """
        if not self._session.up:
            raise ProbeFailed("the connection was lost")
        properties = _NO_PROPERTIES
        mid = self._session.publish(Publication(topic, payload, qos, False, properties)).mid
        await self.wait(lambda: mid in self._codes)
        return self._codes[mid]

    def subscribe(self, topic: str) -> None:
        """Hear what comes on a topic."""
        self._session.subscribe(topic)

    async def wait(self, true: Callable[[], bool], timeout: float = ANSWER_SECONDS) -> None:
        """Wait until something is so.

        Raises:
            ProbeFailed: the connection ended before, or that took longer than `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not true():
                    if self._ended is not None:
                        raise ProbeFailed(self._ended.reason, refused=self._ended.needs_a_person)
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ProbeFailed(f"no answer within {timeout:g} s") from None

    # What the session says

    def greeted(self, limits: Limits, *, resumed: bool) -> None:  # noqa: ARG002  # the port's signature
        """The broker took the connection."""
        self.limits = limits

    def connected(self) -> None:
        """Publications can be sent."""
        self._news.set()

    def acknowledged(self, codes: list[tuple[int, int]]) -> None:
        """Answers to publications."""
        self._codes.update(codes)
        self._news.set()

    def responded(self, response: Response) -> None:
        """A message that was subscribed to."""
        self.heard.append(response.payload)
        self._news.set()

    def unsubscribed(self, reason: str) -> None:  # the port's signature
        """Nothing will be heard, as who waits for it will see."""

    def written(self) -> None:
        """Nothing is sent at QoS 0."""

    def overdue(self) -> bool:
        """Each wait has a limit of its own."""
        return False

    def disconnected(self, ended: Ended) -> bool:
        """One attempt is enough: the next one would come after the visit."""
        self._ended = ended
        self._news.set()
        return True
