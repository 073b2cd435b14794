"""An MQTT session kept alive: paho driven by the event loop, connected again whenever it is lost."""

import asyncio
import concurrent.futures
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from bridge.config.model import BrokerSettings
from bridge.targets.mqtt_answers import Response
from bridge.targets.mqtt_client import PahoClient
from bridge.targets.mqtt_codes import NEEDS_A_PERSON, SESSION_TAKEN_OVER
from bridge.targets.mqtt_publication import Limits, Publication, limits_of
from bridge.targets.mqtt_socket import BufferedSocket, Connection, discard, open_connection

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 10.0
"""For the name, TCP, TLS and WebSocket together, and again for the CONNACK."""
STABLE_SECONDS: Final = 60.0
"""A connection that lasted so long starts the back-off anew."""
TICK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a connection ended, or never was."""

    reason: str
    needs_a_person: bool = False
    """Trying again soon can't help."""
    taken_over: bool = False
    """Trying again soon would throw out another client, which then does the same."""


class Owner(Protocol):
    """What a session tells its owner. Never from within `publish`."""

    def greeted(self, limits: Limits, *, resumed: bool) -> None:
        """The broker took the connection; now, before paho resends, `drop` may be called."""

    def connected(self) -> None:
        """Publications can be sent; what was in flight was sent again before."""

    def acknowledged(self, codes: list[tuple[int, int]]) -> None:
        """(packet ID, reason code) of publications at QoS 1 and 2."""

    def responded(self, response: Response) -> None:
        """A message on a topic that was subscribed to."""

    def unsubscribed(self, reason: str) -> None:
        """The broker refused a subscription."""

    def written(self) -> None:
        """The system took what was to be written: publications at QoS 0 are on their way."""

    def overdue(self) -> bool:
        """Whether an acknowledgement took too long; asked once a second."""

    def disconnected(self, ended: Ended) -> bool:
        """The connection is lost, or an attempt failed; whether the next one should wait long."""


class Backoff:
    """Seconds before the next attempt: full jitter to a minute, or half a minute to five.

    It grows by half, not by two, so that a broker that restarts is found within seconds.
    """

    def __init__(self) -> None:
        self._tries = 0

    def reset(self) -> None:
        """The next one is soon again."""
        self._tries = 0

    def next(self, *, slow: bool) -> float:
        """The delay after one more failure."""
        tries = min(self._tries, 16)
        self._tries += 1
        if slow:
            return min(300.0, 30.0 * 2.0**tries)
        return random.uniform(0.0, min(60.0, 1.5**tries))  # noqa: S311  # jitter is no secret


class MqttSession:
    """Everything here runs on the event loop's thread; only a connection is opened elsewhere."""

    def __init__(
        self,
        settings: BrokerSettings,
        client_id: str,
        owner: Owner,
        will: Publication | None = None,
        make_client: Callable[[BrokerSettings, str], PahoClient] = PahoClient,
    ) -> None:
        self.up = False
        self._settings = settings
        self._owner = owner
        self._client = make_client(settings, client_id)
        if will is not None:
            self._client.will_set(will.topic, will.payload, will.qos, will.retain, will.properties)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_socket_close = self._on_socket_close
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.on_socket_register_write = self._on_register_write
        self._backoff = Backoff()
        self._established = False
        self._greeted = False
        self._socket: BufferedSocket | None = None
        self._opening: concurrent.futures.Future[Connection] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and stay connected until `close`."""
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.create_task(self._run(), name=f"session {self._settings.target}")
        self._task.add_done_callback(_report)

    async def close(self) -> None:
        """Disconnect: politely where the connection is up."""
        task, self._task = self._task, None
        if task is not None:
            if self.up:
                self._client.disconnect()
                self._client.loop_write()
            task.cancel()
            await asyncio.wait([task])
        if self._opening is not None:
            discard(self._opening)

    def publish(self, publication: Publication) -> paho.MQTTMessageInfo:
        """Queue a publication; it is written when the event loop's turn ends. Only while `up`."""
        return self._client.publish(
            publication.topic,
            publication.payload,
            publication.qos,
            publication.retain,
            publication.properties,
        )

    def subscribe(self, topic: str, *, retained: bool = False) -> None:
        """Ask for what comes from now on, and for what is retained where that is wanted. Only while `up`.

        It is written before what is published after it.
        """
        handling = (
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE if retained else SubscribeOptions.RETAIN_DO_NOT_SEND
        )
        self._client.subscribe(topic, options=SubscribeOptions(qos=1, retainHandling=handling))

    def hurry(self) -> None:
        """Keep the broker from holding back what it has to say next. Only while `up`."""
        if self._socket is not None:
            self._socket.confirm()

    def drop(self) -> None:
        """Forget what is in flight: paho won't resend it."""
        self._client.drop()

    # One connection after another

    async def _run(self) -> None:
        while True:
            ended = await self._connection()
            slow = self._owner.disconnected(ended)
            await asyncio.sleep(self._backoff.next(slow=slow))

    async def _connection(self) -> Ended:
        """Connect and look after the connection until it ends."""
        self._ended: asyncio.Future[Ended] = self._loop.create_future()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await self._opened()
        except TimeoutError:
            return Ended(f"no connection within {CONNECT_SECONDS:g} s")
        except (OSError, ValueError, LookupError) as error:
            return Ended(f"cannot connect: {error}")
        try:
            self._begin(connection)
            return await self._watch()
        finally:
            self._release()

    async def _opened(self) -> Connection:
        """A new connection, or the one that an attempt before this one gave up waiting for."""
        if self._opening is None:
            self._opening = open_connection(self._settings)
        try:
            connection = await asyncio.wrap_future(self._opening)
        except (OSError, ValueError, LookupError):
            self._opening = None
            raise
        self._opening = None
        return connection

    def _begin(self, connection: Connection) -> None:
        self._socket = connection.socket
        self._greeted = False
        self._client.open(connection.stream, clean_start=not self._established)
        self._loop.add_reader(connection.socket.fileno(), self._read, connection.socket)

    async def _watch(self) -> Ended:
        began = self._loop.time()
        while not self._ended.done():
            self._client.loop_misc()
            now = self._loop.time()
            if not self.up and now - began > CONNECT_SECONDS:
                return Ended(f"no answer within {CONNECT_SECONDS:g} s")
            if self.up and self._owner.overdue():
                return Ended("an acknowledgement took too long")
            if self.up and now - began > STABLE_SECONDS:
                self._backoff.reset()
            await asyncio.wait([self._ended], timeout=TICK_SECONDS)
        return self._ended.result()

    def _release(self) -> None:
        """Leave paho without a socket, however the connection ended."""
        self.up = False
        if self._socket is not None:
            self._socket.end()
            while self._client.socket() is not None:
                self._client.loop_read()
            self._socket = None

    # The socket

    def _read(self, socket: BufferedSocket) -> None:
        """The socket is readable: take all packets, then tell the owner, outside paho's locks."""
        self._client.loop_read()
        while socket.readable and self._client.socket() is not None:
            self._client.loop_read()
        if self._greeted:
            self._greeted = False
            self.up = self._client.socket() is not None  # the broker may have hung up in the same breath
            if self.up:
                self._owner.connected()
        if self._client.acknowledged:
            codes, self._client.acknowledged = self._client.acknowledged, []
            self._owner.acknowledged(codes)

    def _write(self) -> None:
        """Hand the system what paho has queued; wait for room where it doesn't take all."""
        socket = self._socket
        if socket is None:
            return
        self._client.loop_write()
        if self._client.socket() is None:
            return
        try:
            socket.flush()
        except OSError:
            socket.end()
            self._client.loop_read()
            return
        if socket.unsent or self._client.want_write():
            self._loop.add_writer(socket.fileno(), self._write)
        else:
            self._loop.remove_writer(socket.fileno())
            self._owner.written()

    def _on_register_write(self, _client: paho.Client, _data: Any, _socket: Any) -> None:
        """Paho has something to write: all that comes in this turn of the loop goes out together."""
        self._loop.call_soon(self._write)

    def _on_socket_close(self, _client: paho.Client, _data: Any, socket: Any) -> None:
        self.up = False
        self._loop.remove_reader(socket.fileno())
        self._loop.remove_writer(socket.fileno())

    # What paho says

    def _on_connect(
        self,
        _client: paho.Client,
        _data: Any,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._end(Ended(f"the broker refused: {reason}", needs_a_person=reason.value in NEEDS_A_PERSON))
            return
        self._greeted = True
        resumed = flags.session_present or not self._established or self._settings.protocol != "5"
        self._established = True
        self._owner.greeted(limits_of(properties), resumed=resumed)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        said = message.properties
        self._owner.responded(
            Response(
                message.topic,
                bytes(message.payload),
                getattr(said, "CorrelationData", None),
                getattr(said, "ContentType", None),
                message.retain,
            )
        )

    def _on_subscribe(
        self,
        _client: paho.Client,
        _data: Any,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        for reason in reasons:
            if reason.is_failure:
                self._owner.unsubscribed(f"{reason}")

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: Any,
        flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        """Paho may say it twice; the first word counts."""
        self.up = False
        if not flags.is_disconnect_packet_from_server:
            self._end(Ended("the connection was lost" if reason.value == 0x80 else f"{reason}"))
        elif reason.value == SESSION_TAKEN_OVER:
            self._end(Ended(f"the broker disconnected: {reason}", taken_over=True))
        else:
            self._end(Ended(f"the broker disconnected: {reason}"))

    def _end(self, ended: Ended) -> None:
        if not self._ended.done():
            self._ended.set_result(ended)


def _report(task: asyncio.Task[None]) -> None:
    """A session ends when it is closed; anything else is a bug that must not pass unseen."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("%s broke", task.get_name(), exc_info=error)
