"""A console over real parts of a daemon, but for targets that do as told."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bridge.config.model import Config, ConsoleSettings
from bridge.console.console import Console
from bridge.daemon import Daemon
from bridge.delivery.retry import Retry
from bridge.folders import Folders
from bridge.journal.journal import Journal
from bridge.operations import commands
from bridge.reload import Reloader
from tests.support.deliveries import ScriptedTarget
from tests.support.routing_files import config_of
from tests.support.waiting import eventually

ROUTING = """\
node: shed
relay: {key: relay-key, secret: c4n4ry-relay}
brokers: {home: {url: "mqtt://127.0.0.1:1", username: pi, password: c4n4ry-broker}}
services: {shop: {url: "http://127.0.0.1:1", headers: {Authorization: "Bearer c4n4ry-service"}}}
console: {token: c4n4ry-token}
routes:
  - {name: ring, match: {bucket: doorbell}, send: [{mqtt: "home/{{ body.door }}"}]}
  - {name: order, match: {bucket: shop, header.x-kind: order}, send: [{http: /orders, service: shop}]}
"""
CANARY = "c4n4ry"
TOKEN = "let me in"


class Parts(Daemon):
    """A daemon that was never started: what its routing file says is not applied, so it connects nowhere."""

    def __init__(self, folder: Path, config: Config, journal: Journal) -> None:
        super().__init__(folder / "bridge.yaml", Folders(folder, folder), config, journal)
        self.reloader = Reloader(folder / "bridge.yaml", lambda _config, _generation: None, time.time)
        self.reloader.start(config, ())
        self.targets = {name: self._target(name) for name in ("mqtt:home", "http:shop")}
        self.dispatcher.use({name: (target, Retry()) for name, target in self.targets.items()})

    def _target(self, name: str) -> ScriptedTarget:
        target = ScriptedTarget(name)
        target.listener = self.dispatcher
        return target


@asynccontextmanager
async def running_parts(folder: Path, routing: str = ROUTING) -> AsyncIterator[Parts]:
    journal = await Journal.open(folder / "journal.db", max_bytes=16 * 1024 * 1024)
    (folder / "bridge.yaml").write_text(routing)
    parts = Parts(folder, config_of(routing), journal)
    try:
        yield parts
    finally:
        parts.watch.close()
        await parts.relay.close()
        await parts.registry.close(1.0)
        await parts.dispatcher.stop()
        await journal.close()
        parts.flights.close()


@asynccontextmanager
async def running_console(parts: Parts, settings: ConsoleSettings | None = None) -> AsyncIterator[str]:
    """A console at a free port of this machine, unless told otherwise; where it is."""
    console = Console(parts, commands(parts), retry=0.05)
    console.use(settings or ConsoleSettings(("127.0.0.1", 0)))
    try:
        await eventually(lambda: console.state.url)
        yield console.state.url
    finally:
        await console.close()


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client that keeps no cookies by itself."""
    async with aiohttp.ClientSession(url, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
