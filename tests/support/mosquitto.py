"""A real Mosquitto for a test, and a subscriber that collects what arrives.

async with Broker(tmp_path) as broker, Collector(broker.port, "home/#") as seen:
    …
    await seen.wait(3)
"""

import asyncio
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.support.waiting import eventually

HOST = "127.0.0.1"
WORKERS = 16
"""Processes of one test run that never share a port."""
_serial = itertools.count(1)


def _ports() -> Iterator[int]:
    """Those below the system's ports for clients, each worker's own, in an order of this process."""
    system = Path("/proc/sys/net/ipv4/ip_local_port_range")
    clients = int(system.read_text().split()[0]) if system.exists() else 49_152
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    ports = list(range(10_000 + worker, max(clients, 12_000), WORKERS))
    random.shuffle(ports)
    return itertools.cycle(ports)


_free = _ports()


def free_port() -> int:
    """A TCP port that nobody uses, and that stays free: the system gives no connection one of these."""
    while True:
        port = next(_free)
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


class Broker:
    """One Mosquitto on a port of its own.

    `lines` follow the `listener` line of its configuration, so they may say `protocol websockets` or
    `cafile …`. Anonymous clients are allowed unless a line says otherwise.
    """

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder = folder / f"mosquitto-{next(_serial)}"
        self.port = free_port()
        self.plain_port = free_port()
        """A second listener without TLS or WebSocket, for a `Collector` beside a client under test."""
        self._lines = list(lines)
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def log(self) -> str:
        """What it logged so far."""
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def configure(self, *lines: str) -> None:
        """Other lines, from the next start on."""
        self._lines = list(lines)

    async def start(self) -> None:
        """Start it, on the same port each time, and wait until it accepts connections."""
        process = self._process = self._spawn()

        def accepts() -> bool:
            if process.poll() is not None:
                raise AssertionError(f"mosquitto ended with {process.returncode}:\n{self.log}")
            return _accepts(self.port)

        await eventually(accepts)

    async def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it, frozen or not; SIGKILL gives it no time to save or to say goodbye."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        process.send_signal(signal.SIGCONT)
        try:
            await eventually(lambda: process.poll() is not None, 5.0)
        finally:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay open, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on after `freeze`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None, "the broker is not running"
        self._process.send_signal(number)

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        assert program, "these tests need the `mosquitto` program: apt install mosquitto"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "mosquitto.conf"
        config.write_text("\n".join(self._configuration()) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            return subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)

    def _configuration(self) -> list[str]:
        said = {line.split()[0] for line in self._lines}
        lines = ["max_queued_messages 0", f"persistence_location {self.folder}/"]
        if os.geteuid() == 0:
            lines.append("user root")  # it would drop to a user that can't read the test's files
        if not said & {"allow_anonymous", "password_file"}:
            lines.append("allow_anonymous true")
        plain = (
            f"listener {self.plain_port} {HOST}"  # 2.0.11 refuses to start with a WebSocket listener alone
        )
        return [*lines, plain, f"listener {self.port} {HOST}", *self._lines]


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0


@dataclass(frozen=True, slots=True)
class Received:
    """One message as a subscriber got it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    content_type: str | None = None
    payload_format: int | None = None
    expiry: int | None = None
    """Seconds that were left when the broker handed it on."""
    user: tuple[tuple[str, str], ...] = ()
    response_topic: str | None = None
    correlation: bytes | None = None


@dataclass
class Collector:
    """An MQTT 5 subscriber on a thread of its own; its session survives a broker that keeps sessions."""

    port: int
    topic: str = "#"
    qos: int = 2
    username: str | None = None
    password: str | None = None
    messages: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._subscribed = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"collector-{os.getpid()}-{next(_serial)}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        self._client.username_pw_set(self.username, self.password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(_received(message))

    async def __aenter__(self) -> Self:
        expiry = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho leaves it so
        expiry.SessionExpiryInterval = 3600
        # Mosquitto 2.0.11 saves no session that began with a clean start.
        self._client.connect_async(HOST, self.port, clean_start=False, properties=expiry)
        self._client.loop_start()
        await eventually(self._subscribed.is_set)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def wait(self, count: int, timeout: float = 10.0) -> list[Received]:
        """The messages, as soon as there are `count` of them."""
        await eventually(lambda: len(self.messages) >= count, timeout)
        return self.messages

    @property
    def payloads(self) -> list[bytes]:
        """The payloads in their order of arrival."""
        return [message.payload for message in self.messages]

    def _on_connect(
        self,
        client: paho.Client,
        _data: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        assert not reason.is_failure, f"the broker refused the collector: {reason}"
        if not flags.session_present:
            client.subscribe(self.topic, self.qos)


def _received(message: paho.MQTTMessage) -> Received:
    said = message.properties
    return Received(
        topic=message.topic,
        payload=bytes(message.payload),
        qos=message.qos,
        retain=message.retain,
        content_type=getattr(said, "ContentType", None),
        payload_format=getattr(said, "PayloadFormatIndicator", None),
        expiry=getattr(said, "MessageExpiryInterval", None),
        user=tuple(getattr(said, "UserProperty", ())),
        response_topic=getattr(said, "ResponseTopic", None),
        correlation=getattr(said, "CorrelationData", None),
    )
