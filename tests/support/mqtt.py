"""Driving an MQTT target, and a broker that does what a real one would not."""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from bridge.config.model import BrokerSettings
from bridge.message import Delivery, Failure, FailureKind, MqttMessage, Result
from bridge.targets.mqtt import MqttTarget
from tests.support.deliveries import delivery
from tests.support.waiting import eventually


def publication(seq: int, topic: str = "home/ring", payload: bytes | None = None, **fields: Any) -> Delivery:
    """A delivery to a broker; without a payload it carries its number."""
    of_delivery = {name: fields.pop(name) for name in ("webhook", "deadline", "route") if name in fields}
    return delivery(seq, message=MqttMessage(topic, payload, **fields), **of_delivery)


class Feeder:
    """A listener that sends what it is given while there is capacity, and again what met no connection."""

    def __init__(self) -> None:
        self.target: MqttTarget
        self.results: list[tuple[Delivery, Result]] = []
        self.available_calls = 0
        self._waiting: list[tuple[int, Delivery]] = []
        self._sending = False

    def give(self, *deliveries: Delivery) -> None:
        for each in deliveries:
            heapq.heappush(self._waiting, (each.seq, each))
        self._pump()

    def finished(self, delivery: Delivery, result: Result) -> None:
        assert not self._sending, "a result from within send"
        self.results.append((delivery, result))
        if isinstance(result, Failure) and result.kind is FailureKind.CONNECTION:
            heapq.heappush(self._waiting, (delivery.seq, delivery))
        self._pump()

    def available(self, target: str) -> None:
        assert target == self.target.name
        self.available_calls += 1
        self._pump()

    def _pump(self) -> None:
        while self._waiting and self.target.capacity() > 0:
            self._sending = True
            self.target.send(heapq.heappop(self._waiting)[1])
            self._sending = False

    async def wait(self, count: int, timeout: float = 10.0) -> list[Result]:
        """The results in their order, as soon as there are `count` of them."""
        await eventually(lambda: len(self.results) >= count, timeout)
        return [result for _, result in self.results]

    async def deliver(self, *deliveries: Delivery) -> list[Result]:
        """Send, and wait for one more result each."""
        count = len(self.results) + len(deliveries)
        self.give(*deliveries)
        return (await self.wait(count))[-len(deliveries) :]


@asynccontextmanager
async def feeding(port: int, *, wait_until: str = "up", **settings: Any) -> AsyncIterator[Feeder]:
    """A target for the broker on that port, in the state to wait for; closed in the end."""
    feeder = Feeder()
    target = feeder.target = MqttTarget(BrokerSettings("home", port=port, **settings), feeder, node="pi")
    await target.start()
    try:
        await eventually(lambda: target.state().name == wait_until)
        yield feeder
    finally:
        await target.close(5.0)


# Packets of MQTT 5.0, as far as a broker sends them


def packet(kind: int, *content: int) -> bytes:
    return bytes((kind, len(content), *content))


def connack(code: int = 0, *, session_present: bool = False, properties: bytes = b"") -> bytes:
    return packet(0x20, int(session_present), code, len(properties), *properties)


def puback(publish: "Publish", code: int = 0) -> bytes:
    return packet(0x40, *divmod(publish.mid, 256), code, 0)


def pubrec(publish: "Publish", code: int = 0) -> bytes:
    return packet(0x50, *divmod(publish.mid, 256), code, 0)


def disconnect(code: int) -> bytes:
    return packet(0xE0, code, 0)


HANG_UP = b""
"""An answer that ends the connection."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A PUBLISH as it came over the wire."""

    topic: str
    qos: int
    mid: int
    dup: bool
    retain: bool
    connection: int
    """1 for the first connection."""


@dataclass
class ScriptedBroker:
    """Answers each PUBLISH as `answer` says: bytes, nothing (None), or `HANG_UP`."""

    answer: Callable[[Publish], bytes | None] = lambda publish: puback(publish) if publish.qos else None
    greet: Callable[[int], bytes | None] = lambda _connection: connack()
    """The CONNACK for the n-th connection; None: silence."""
    port: int = 0
    publishes: list[Publish] = field(default_factory=list)
    clean_starts: list[bool] = field(default_factory=list)
    """Of each connection."""
    releases: int = 0
    """PUBRELs."""
    goodbyes: int = 0
    """DISCONNECTs."""

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def connections(self) -> int:
        return len(self.clean_starts)

    def say(self, data: bytes) -> None:
        """Send something unasked on the newest connection."""
        self._writers[-1].write(data)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        self._writers.append(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            connection = 0
            while True:
                kind, content = await _read_packet(reader)
                if kind & 0xF0 == 0x10:
                    self.clean_starts.append(bool(content[7] & 2))
                    connection = len(self.clean_starts)
                reply = self._reply(kind, content, connection)
                if reply == HANG_UP:
                    return
                writer.write(reply or b"")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _reply(self, kind: int, content: bytes, connection: int) -> bytes | None:
        match kind & 0xF0:
            case 0x10:
                return self.greet(connection)
            case 0x30:
                self.publishes.append(_publish(kind, content, connection))
                return self.answer(self.publishes[-1])
            case 0x60:
                self.releases += 1
                return packet(0x70, *content[:2])
            case 0xC0:
                return packet(0xD0)
            case 0xE0:
                self.goodbyes += 1
        return None


async def _read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)


def _publish(kind: int, content: bytes, connection: int) -> Publish:
    qos, end = kind >> 1 & 3, 2 + int.from_bytes(content[:2], "big")
    mid = int.from_bytes(content[end : end + 2], "big") if qos else 0
    return Publish(content[2:end].decode(), qos, mid, bool(kind & 8), bool(kind & 1), connection)
