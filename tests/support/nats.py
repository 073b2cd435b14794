"""A real nats-server with JetStream for a test, and relays on it.

async with NatsServer(tmp_path) as nats, running(on(nats, "doorbell")) as relay:
    …
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Self

from bridge.selfhosted.resources import Bucket, Limits, NatsSettings, Settings
from tests.support.mosquitto import HOST, free_port
from tests.support.relay_clients import settings_of
from tests.support.waiting import eventually


class NatsServer:
    """One server on a port of its own. `lines` are added to its configuration."""

    def __init__(self, folder: Path, *lines: str) -> None:
        self.folder = folder / "nats"
        self.port = free_port()
        self.lines = lines
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """For clients without TLS."""
        return f"nats://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it on the same port and store each time, and wait until it takes connections."""
        process = self._process = self._spawn()

        def greets() -> bool:
            assert process.poll() is None, f"nats-server ended:\n{self.log}"
            return "Server is ready" in self.log.rpartition("Starting nats-server")[2] and _greets(self.port)

        await eventually(greets, 20.0)

    async def stop(self, with_signal: int = signal.SIGTERM) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(with_signal)
        try:
            await asyncio.to_thread(process.wait, 10)
        finally:
            process.kill()
            process.wait()

    @property
    def log(self) -> str:
        """What it logged so far."""
        path = self.folder / "nats.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        assert program, "these tests need the `nats-server` program: apt install nats-server"
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "nats.conf"
        store = f'jetstream {{store_dir: "{self.folder}/store"}}'
        config.write_text("\n".join([f"listen: {HOST}:{self.port}", store, *self.lines]) + "\n")
        with (self.folder / "nats.log").open("ab") as log:
            return subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)


def on(server: NatsServer, *buckets: Bucket | str, limits: Limits | None = None) -> Settings:
    """Settings of a relay process on a server; those with the same buckets are one relay."""
    return replace(settings_of(*buckets, limits=limits), engine=NatsSettings((server.url,)))


def _greets(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0
