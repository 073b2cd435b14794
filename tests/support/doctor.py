"""A sound installation, which a test then breaks in one place, and what the doctor finds there."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path

from bridge.doctor.examination import Patient, examine
from bridge.doctor.finding import Check, Finding, State
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.http import RecordingServer, recording_server
from tests.support.mosquitto import Broker, Collector
from tests.support.relays import KEY, SECRET, running_relay

CANARY = "canary-7d1f-secret"
"""The broker's password, and a token of the HTTP target."""


@dataclass
class Installation:
    """Everything that a routing file connects, each part real."""

    folder: Path
    relay: SelfHostedRelay
    broker: Broker
    service: RecordingServer

    @property
    def file(self) -> Path:
        return self.folder / "bridge.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def write(self, **changes: str) -> None:
        """The routing file, its secrets in files; a change replaces a line's value."""
        values = {
            "url": self.relay.socket_url,
            "broker": f"mqtt://127.0.0.1:{self.broker.port}",
            "service": self.service.url,
            "topic": "home/bell/{{ body.door }}",
            "journal": "{max_bytes: 64MiB}",
            "bucket": "doorbell",
        } | changes
        self.secret("relay-secret", SECRET)
        self.secret("mqtt-password", CANARY)
        self.secret("service-token", CANARY)
        self.file.write_text(
            f"relay: {{url: '{values['url']}', key: {KEY}, secret: '${{file:relay-secret}}'}}\n"
            f"brokers:\n  home: {{url: '{values['broker']}', username: bridge, "
            "password: '${file:mqtt-password}'}\n"
            f"services:\n  local: {{url: '{values['service']}', "
            "headers: {Authorization: 'Bearer ${file:service-token}'}}\n"
            f"journal: {values['journal']}\n"
            "console: off\n"
            f"routes:\n  - name: bell\n    match: {{bucket: {values['bucket']}}}\n    send:\n"
            f'      - mqtt: "{values["topic"]}"\n'
            "      - {http: /bell, service: local}\n"
        )

    def secret(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path

    async def findings(self, status: dict[str, object] | None = None) -> dict[Check, Finding]:
        """By check; of several with one check, the worst."""
        found = await examine(Patient(self.file, self.state, status))
        severity = [State.BAD, State.GOOD, State.SKIPPED]
        worst = sorted(found, key=lambda one: severity.index(one.state), reverse=True)
        return {one.check: one for one in worst}


def wrong(findings: dict[Check, Finding]) -> set[Check]:
    return {check for check, one in findings.items() if one.state is State.BAD}


async def password_file(folder: Path, **passwords: str) -> Path:
    """What Mosquitto knows users by."""
    path = folder / "passwords"
    path.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
    made = await asyncio.create_subprocess_exec("mosquitto_passwd", "-U", str(path))
    assert await made.wait() == 0
    return path


@asynccontextmanager
async def installation(folder: Path, *lines: str) -> AsyncIterator[Installation]:
    """One with nothing wrong; `lines` are added to Mosquitto's settings."""
    passwords = await password_file(folder, bridge=CANARY, reader=CANARY)
    settings = (f"password_file {passwords}", "persistence true", *lines)
    async with (
        running_relay("doorbell") as relay,
        Broker(folder, *settings) as broker,
        recording_server() as service,
    ):
        made = Installation(folder, relay, broker, service)
        made.write()
        yield made


def listener(broker: Broker, topic: str = "home/#") -> Collector:
    return Collector(broker.port, topic, username="reader", password=CANARY)


_DATE = re.compile(rb"(?<=\r\nDate: )[^\r\n]+")


@asynccontextmanager
async def shifted_dates(port: int, seconds: float) -> AsyncIterator[int]:
    """A way to a local HTTP server on which every `Date` is shifted; its port."""

    def shift(found: re.Match[bytes]) -> bytes:
        moment = parsedate_to_datetime(found[0].decode()).timestamp() + seconds
        return formatdate(moment, usegmt=True).encode()  # as long as it was

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(_DATE.sub(shift, data))
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, back), copy(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])
