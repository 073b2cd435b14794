"""What `status` tells of a running bridge: who was not there, what failed last, and both as they happen."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.cli import Done, run
from tests.support.http import recording_server
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess
from tests.support.relays import post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

ROUTING = """
brokers: {{home: {{url: "mqtt://127.0.0.1:{broker}"}}}}
services: {{shop: {{url: "{service}"}}}}
routes:
  - {{name: ring, match: {{bucket: doorbell}}, send: [{{mqtt: home/ring}}]}}
  - {{name: order, match: {{bucket: shop}}, send: [{{http: "/{{{{ body.x }}}}", service: shop}}]}}
"""


async def status(bridge: BridgeProcess, *arguments: str) -> Done:
    return await asyncio.to_thread(run, "status", *arguments, RUNTIME_DIRECTORY=str(bridge.folder / "run"))


async def test_nobody_subscribed_and_the_last_failure_are_told(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell", "shop") as relay,
        Broker(tmp_path) as broker,
        recording_server(status=400) as service,
        sender() as session,
    ):
        routing = relay_section(relay) + ROUTING.format(broker=broker.port, service=service.url)
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:

            async def delivered(target: str, key: str, count: int) -> bool:
                return bool((await bridge.ask("status"))["targets"][target][key] == count)

            for _ in range(3):
                await post(session, relay.webhook_url("doorbell"), b"{}")
            await eventually_async(lambda: delivered("mqtt:home", "delivered", 3))
            shown = (await status(bridge)).out
            assert "  3 of them had no subscriber\n" in shown
            assert "last failure" not in shown

            async with Collector(broker.port, "home/#", qos=1) as seen:
                await post(session, relay.webhook_url("doorbell"), b"{}")
                await seen.wait(1)
                await eventually_async(lambda: delivered("mqtt:home", "delivered", 4))
            assert (await bridge.ask("status"))["targets"]["mqtt:home"]["unheard"] == 3, "one was heard"

            await post(session, relay.webhook_url("shop"), b'{"x": "\\u001b[2J\\u009b"}')
            await eventually_async(lambda: delivered("http:shop", "dead", 1))
            shown = (await status(bridge)).out
            assert "route order: 1 matched, 0 rejected, 0 failed, 0 limited, 1 dead\n" in shown
            assert "Z: http-400: " in shown
            assert all(line.isprintable() for line in shown.splitlines())

            await broker.stop()

            async def state(name: str) -> bool:
                return bool((await bridge.ask("status"))["targets"]["mqtt:home"]["state"] == name)

            await eventually_async(lambda: state("down"))
            await broker.start()
            await eventually_async(lambda: state("up"))
            home = (await bridge.ask("status"))["targets"]["mqtt:home"]
            assert home["last_failure"]["reason"]
            assert f": {home['last_failure']['reason']}\n" in (await status(bridge)).out


class Screen:
    """A terminal that remembers everything that was written to it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._written = b""
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            self._written += os.read(self._descriptor, 65536)
        except OSError:  # the other end is closed
            self.close()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)

    @property
    def now(self) -> str:
        """What it shows, after the newest return to its first line."""
        return self._written.decode().rpartition("\x1b[H")[2]


@asynccontextmanager
async def live_status(bridge: BridgeProcess) -> AsyncIterator[tuple[Screen, asyncio.subprocess.Process]]:
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", "status", "--live"),
        env=os.environ | {"RUNTIME_DIRECTORY": str(bridge.folder / "run"), "COLUMNS": "200", "LINES": "50"},
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    screen = Screen(ours)
    try:
        yield screen, process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        screen.close()
        os.close(ours)


async def test_live_it_follows_a_broker_and_a_restart_of_the_daemon(tmp_path: Path) -> None:
    async with running_relay("doorbell", "shop") as relay, Broker(tmp_path) as broker:
        routing = relay_section(relay) + ROUTING.format(broker=broker.port, service="http://127.0.0.1:1")
        async with (
            BridgeProcess(tmp_path / "bridge", routing) as bridge,
            live_status(bridge) as (screen, live),
        ):
            await eventually(lambda: "mqtt:home  up: 0 delivered" in screen.now)
            await broker.stop()
            await eventually(lambda: "mqtt:home  down (" in screen.now)
            await eventually(lambda: "  last failure 20" in screen.now)
            assert await bridge.stop() == 0
            await eventually(lambda: screen.now.startswith("no daemon runs"))
            await broker.start()
            await bridge.start()
            await eventually(lambda: "mqtt:home  up: 0 delivered" in screen.now)
            live.send_signal(signal.SIGINT)
            assert await live.wait() == 0
            assert "Traceback" not in screen.now
