"""The daemon as its operator meets it: exit statuses, reloads, status, systemd, outages, stopping."""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import JournalBusy
from bridge.journal.journal import Journal
from bridge.journal.store import FATAL
from tests.support.cli import Done, run, running
from tests.support.http import RawServer, Script, raw_server, recording_server
from tests.support.mosquitto import Broker, Collector, free_port
from tests.support.process import BridgeProcess, conserved
from tests.support.relays import SECRET, post, relay_section, running_relay, sender
from tests.support.waiting import eventually, eventually_async

NOWHERE = "relay: {url: 'ws://127.0.0.1:1/', key: a, secret: b}\nconsole: off\n"
STOP_LIMIT = 12.0
"""Seconds from SIGTERM to the exit, whatever hangs."""


def to_service(url: str, *buckets: str) -> str:
    """A route for each bucket to one service."""
    routes = [
        f"  - {{name: {bucket}, match: {{bucket: {bucket}}}, send: [{{http: /{bucket}, service: shop}}]}}\n"
        for bucket in buckets
    ]
    return f"services: {{shop: {{url: '{url}'}}}}\nroutes:\n{''.join(routes)}"


@asynccontextmanager
async def started(bridge: BridgeProcess) -> AsyncIterator[BridgeProcess]:
    """A bridge that answers, whether or not it is subscribed."""
    try:
        await bridge.start(subscribed=False)
        await eventually_async(lambda: bridge.try_ask("status"), 20)
        yield bridge
    finally:
        await bridge.__aexit__(None, None, None)


async def command(bridge: BridgeProcess, *arguments: str) -> Done:
    """A command that talks to this daemon."""
    return await asyncio.to_thread(run, *arguments, RUNTIME_DIRECTORY=str(bridge.folder / "run"))


async def status_when(bridge: BridgeProcess, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status, as soon as something holds of it; its counts always add up."""

    async def found() -> dict[str, Any] | None:
        status = await bridge.ask("status")
        conserved(status)
        return status if holds(status) else None

    status = await eventually_async(found, 20)
    assert status is not None
    return status


async def relay_becomes(bridge: BridgeProcess, state: str) -> dict[str, Any]:
    relay: dict[str, Any] = (await status_when(bridge, lambda s: s["relay"]["state"] == state))["relay"]
    return relay


async def generation_is(bridge: BridgeProcess, generation: int) -> None:
    await status_when(bridge, lambda s: s["configuration"]["generation"] == generation)


def signalled(bridge: BridgeProcess, number: int) -> None:
    os.kill(bridge.pid, number)


# Starting


def test_an_invalid_file_is_78_with_everything_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text("relay: {key: a}\nroutes:\n  - {nme: x, send: []}\n")
    done = run("run", "-c", file, STATE_DIRECTORY=str(tmp_path / "state"), RUNTIME_DIRECTORY=str(tmp_path))
    assert (done.status, done.out) == (78, "")
    problems = re.findall(rf"{re.escape(str(file))}:\d+:\d+: error\[E\d+\]", done.err)
    assert len(problems) >= 3, done.err
    assert "help: did you mean 'name'?" in done.err
    assert done.err.splitlines()[-1] == f"{len(problems)} errors"


def test_a_state_folder_that_can_not_be_made_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(NOWHERE + "routes: []\n")
    done = run("run", "-c", file, STATE_DIRECTORY=f"{file}/state", RUNTIME_DIRECTORY=str(tmp_path))
    assert (done.status, done.out) == (1, "")
    assert done.err == f"relay-bridge: {file}/state: Not a directory\n"


async def test_a_second_instance_is_75_and_leaves_the_first_alone(tmp_path: Path) -> None:
    async with started(BridgeProcess(tmp_path, NOWHERE + "routes: []\n")) as bridge:
        folders = {"STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "run")}
        async with running(tmp_path, "run", "-c", bridge.file, **folders) as second:
            assert await second.ended() == 75
            (line,) = [line for line in second.text.splitlines() if line.startswith("relay-bridge: ")]
            assert "another" in line
        assert (await bridge.ask("status"))["relay"]["state"] == "down"
        assert await bridge.stop() == 0


# Reloading


async def test_reloads_by_hand_by_signal_and_by_the_files_change(tmp_path: Path) -> None:
    text = NOWHERE + to_service("http://127.0.0.1:1", "doorbell")
    async with started(BridgeProcess(tmp_path, text)) as bridge:
        done = await command(bridge, "reload")
        assert (done.status, done.err) == (0, "")
        assert re.fullmatch(r"unchanged: generation 1 \([0-9a-f]{12}\) is in use\n", done.out)

        bridge.file.write_text(text + "# 2\n")
        done = await command(bridge, "reload", "--wait", "10")
        assert (done.status, done.err) == (0, "")
        assert re.match(r"(applied|unchanged): generation 2 ", done.out), "the file's change may come first"

        bridge.file.write_text(text.replace("send", "sned"))
        done = await command(bridge, "reload")
        assert done.status == 1
        assert done.out.startswith("rejected: generation 2 ")
        assert f"{bridge.file}:5:" in done.err
        assert "error[E0102]: unknown key 'sned'" in done.err
        shown = await command(bridge, "status")
        assert "generation 2 is in use, last reload: rejected\n" in shown.out
        assert "error[E0102]: unknown key 'sned'" in shown.out
        assert bridge.log_text().count("the routing file was rejected") == 1

        bridge.file.write_text(text + "# 3\n")
        await generation_is(bridge, 3)

        away = bridge.file.rename(tmp_path / "elsewhere.yaml")
        await status_when(bridge, lambda s: s["configuration"]["outcome"] == "rejected")
        away.rename(bridge.file)
        await status_when(bridge, lambda s: s["configuration"]["outcome"] == "unchanged")
        assert await bridge.stop() == 0


async def test_sighup_reloads_also_what_only_a_secret_changed(tmp_path: Path) -> None:
    secret = tmp_path / "relay-secret"
    secret.write_text("first\n")
    text = NOWHERE.replace("secret: b", f"secret: '${{file:{secret}}}'") + "routes: []\n"
    async with started(BridgeProcess(tmp_path / "bridge", text)) as bridge:
        secret.write_text("second\n")
        signalled(bridge, signal.SIGHUP)
        await generation_is(bridge, 2)
        assert await bridge.stop() == 0


async def test_a_broken_file_starts_with_the_last_good_one(tmp_path: Path) -> None:
    bridge = BridgeProcess(tmp_path, NOWHERE + to_service("http://127.0.0.1:1", "doorbell"))
    async with started(bridge):
        good = (await bridge.ask("status"))["configuration"]["fingerprint"]
        await eventually((tmp_path / "state" / "last-good.json").exists)
        assert await bridge.stop() == 0
    bridge.file.write_text("routes: 5\n")
    async with started(bridge):
        configuration = (await bridge.ask("status"))["configuration"]
        assert (configuration["outcome"], configuration["generation"]) == ("rejected", 1)
        assert configuration["fingerprint"] == good
        assert configuration["problems"]
        assert "starting with the last good one" in bridge.log_text()
        assert "last reload: rejected" in (await command(bridge, "status")).out
        bridge.file.write_text(NOWHERE + to_service("http://127.0.0.1:1", "meter"))
        await generation_is(bridge, 2)
        assert await bridge.stop() == 0


# systemd


class Manager:
    """Stands in for systemd at the other end of the notify socket."""

    def __init__(self) -> None:
        name = f"relay-bridge-{secrets.token_hex(8)}"
        self.address = f"@{name}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name}")
        self._socket.setblocking(False)

    async def message(self, start: str) -> dict[str, str]:
        """The next message that begins so; others are passed over."""
        async with asyncio.timeout(20):
            while True:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
                if data.decode().startswith(start):
                    return dict(line.split("=", 1) for line in data.decode().split("\n"))

    async def starves(self, seconds: float) -> bool:
        """Whether the watchdog is not fed for so long, once what had come is taken."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(65536)
        try:
            async with asyncio.timeout(seconds):
                await self.message("WATCHDOG=1")
        except TimeoutError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Any:
    manager = Manager()
    yield manager
    manager.close()


HANGING = """
import signal, socket, sqlite3, threading, time

# The event loop's thread hangs for two seconds.
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(2))

# Whoever works with the database hangs, until the same signal comes again.
stuck = threading.Event()

class Connection(sqlite3.Connection):
    def execute(self, *arguments):
        while stuck.is_set():
            time.sleep(0.01)
        return super().execute(*arguments)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Connection, **options)
signal.signal(signal.SIGUSR2, lambda *_: stuck.clear() if stuck.is_set() else stuck.set())

# The name servers answer nobody who asks for these.
look_up = socket.getaddrinfo

def hanging(host, *arguments, **options):
    if str(host).endswith(".hangs"):
        time.sleep(600)
    return look_up(host, *arguments, **options)

socket.getaddrinfo = hanging
"""


def able_to_hang(folder: Path) -> dict[str, str]:
    """Environment of a process that loses a thread, or its name servers, when the test says so."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HANGING)
    return {"PYTHONPATH": str(folder)}


async def test_the_service_manager_is_told(tmp_path: Path, manager: Manager) -> None:
    environment = able_to_hang(tmp_path / "site")
    environment |= {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"}
    async with running_relay("doorbell") as relay, sender() as session:
        text = relay_section(relay) + to_service("http://127.0.0.1:1", "doorbell")
        bridge = BridgeProcess(tmp_path / "bridge", text, **environment)
        starting = asyncio.create_task(bridge.start())
        ready = await manager.message("READY=1")
        assert ready["STATUS"] == "generation 1, 1 routes, last reload: applied"
        with pytest.raises(JournalBusy):
            await Journal.open(tmp_path / "bridge/state/journal.db", max_bytes=1 << 20)
        await starting
        async with started_already(bridge):
            # A reload
            bridge.file.write_text(text + "# 2\n")
            began = await manager.message("RELOADING=1")
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            assert 0 < now - int(began["MONOTONIC_USEC"]) < 20_000_000
            assert (await manager.message("READY=1"))["STATUS"].startswith("generation 2, ")

            # The event loop hangs, and goes on
            await manager.message("WATCHDOG=1")
            signalled(bridge, signal.SIGUSR1)
            assert await manager.starves(1.0)
            await manager.message("WATCHDOG=1")

            # The journal's thread hangs with something to write, and goes on
            signalled(bridge, signal.SIGUSR2)
            await post(session, relay.webhook_url("doorbell"), b"ring")
            await status_when(bridge, lambda s: s["targets"]["http:shop"]["pending"] == 1)
            await eventually_async(lambda: manager.starves(1.0))
            assert (await bridge.ask("status"))["relay"]["state"] == "subscribed", "all else goes on"
            signalled(bridge, signal.SIGUSR2)
            await manager.message("WATCHDOG=1")

            signalled(bridge, signal.SIGTERM)
            await manager.message("STOPPING=1")
            await eventually(lambda: bridge.returncode == 0)


@asynccontextmanager
async def started_already(bridge: BridgeProcess) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await bridge.__aexit__(None, None, None)


# The relay


async def test_refused_credentials_a_restart_of_the_relay_and_a_change_of_buckets(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
        sender() as session,
    ):
        home = f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
        ring = "  - {name: ring, match: {bucket: doorbell}, send: [{mqtt: home/ring}]}\n"
        meter = "  - {name: meter, match: {bucket: meter}, send: [{mqtt: home/meter}]}\n"
        async with running_relay("doorbell", "meter") as relay:
            port = relay.port
            head = relay_section(relay)
            routing = home + "routes:\n" + ring
            wrong = head.replace(SECRET, "wr0ng") + routing
            async with started(BridgeProcess(tmp_path / "bridge", wrong)) as bridge:
                refused = await relay_becomes(bridge, "unauthorized")
                assert refused["reason"]
                assert "wr0ng" not in json.dumps(refused)
                shown = await command(bridge, "status")
                assert f"relay          unauthorized ({refused['reason']})\n" in shown.out
                bridge.file.write_text(head + routing)
                await relay_becomes(bridge, "subscribed")

                await relay.close()
                await relay_becomes(bridge, "down")
                async with running_relay("doorbell", "meter", port=port) as again:
                    await relay_becomes(bridge, "subscribed")
                    url = again.webhook_url("doorbell")
                    sent = 0

                    async def send(until: int) -> None:
                        nonlocal sent
                        while sent < until:
                            assert await post(session, url, b"%d" % sent) == 200
                            sent += 1

                    sending = asyncio.create_task(send(300))
                    await seen.wait(20)
                    bridge.file.write_text(head + routing + meter)
                    await eventually_async(lambda: _answers(again, session, seen))
                    await sending
                    await eventually(lambda: len(_rings(seen)) >= 300)
                    status = await status_when(bridge, lambda s: s["targets"]["mqtt:home"]["pending"] == 0)
                    assert Counter(_rings(seen)) == Counter(str(n).encode() for n in range(300))
                    assert status["counters"]["unmatched"] == 0
                    assert await bridge.stop() == 0
                assert bridge.log_text().count("relay: down") == 1, "an outage is one line"


def _rings(seen: Collector) -> list[bytes]:
    return [message.payload for message in seen.messages if message.topic == "home/ring"]


async def _answers(relay: Any, session: Any, seen: Collector) -> bool:
    """Whether the bucket that came with the reload is subscribed."""
    await post(session, relay.webhook_url("meter"), b"watts")
    return any(message.topic == "home/meter" for message in seen.messages)


# Targets


async def test_a_target_that_was_removed_is_served_what_it_is_owed(tmp_path: Path) -> None:
    port = free_port()
    async with running_relay("doorbell", "meter") as relay, sender() as session:
        head = relay_section(relay)
        both = to_service(f"http://127.0.0.1:{port}", "doorbell")
        # The watchdog's pace is also that of the housekeeping.
        async with BridgeProcess(tmp_path, head + both, WATCHDOG_USEC="400000") as bridge:
            await post(session, relay.webhook_url("doorbell"), b"owed")
            await status_when(bridge, lambda s: s["targets"]["http:shop"]["pending"] == 1)
            bridge.file.write_text(head + "routes: []\nunmatched: count\n")
            await generation_is(bridge, 2)
            await post(session, relay.webhook_url("doorbell"), b"no longer wanted")
            async with recording_server(port=port) as service:
                await eventually(lambda: service.requests, 20)
                status = await status_when(
                    bridge, lambda s: s["targets"]["http:shop"]["state"] == "not configured"
                )
                assert [request.body for request in service.requests] == [b"owed"]
            assert status["targets"]["http:shop"]["delivered"] == 1
            assert await bridge.stop() == 0


def never_answering(raw: RawServer) -> Script:
    async def follow(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await raw.receive(reader)
        await reader.read()  # until the client has enough of it

    return follow


async def test_a_stop_waits_for_nobody_that_hangs_and_loses_nothing(tmp_path: Path) -> None:
    async with running_relay("doorbell") as relay, sender() as session:
        head = relay_section(relay)
        async with raw_server(never_answering) as hung:
            text = head + to_service(hung.url, "doorbell")
            async with BridgeProcess(tmp_path, text) as bridge:
                await post(session, relay.webhook_url("doorbell"), b"ring")
                await eventually(lambda: hung.requests)
                began = time.monotonic()
                assert await bridge.stop() == 0
                assert time.monotonic() - began < STOP_LIMIT

                await bridge.start()
                await eventually(lambda: len(hung.requests) == 2, 20)
                signalled(bridge, signal.SIGTERM)
                await eventually(lambda: relay.subscribers == 0)
                began = time.monotonic()
                assert await bridge.stop() == 1, "a second signal"
                assert time.monotonic() - began < 2
        async with recording_server() as service:
            bridge.file.write_text(head + to_service(service.url, "doorbell"))
            async with bridge:
                await eventually(lambda: service.requests, 20)
                # The relay, which was left in the middle of it, may have sent it again.
                assert {request.body for request in service.requests} == {b"ring"}
                await status_when(bridge, lambda s: s["targets"]["http:shop"]["pending"] == 0)
                assert await bridge.stop() == 0


async def test_a_stop_does_not_wait_for_name_servers_that_hang(tmp_path: Path) -> None:
    text = (
        "relay: {url: 'ws://relay.hangs/', key: a, secret: b}\n"
        "brokers: {home: {url: 'mqtt://broker.hangs'}}\n"
        "routes: [{name: ring, match: {bucket: doorbell}, send: [{mqtt: home/ring}]}]\n"
    )
    bridge = BridgeProcess(tmp_path / "bridge", text, **able_to_hang(tmp_path / "site"))
    async with started(bridge):
        assert (await bridge.ask("status"))["relay"]["state"] == "connecting"
        began = time.monotonic()
        assert await bridge.stop() == 0
        assert time.monotonic() - began < 3


class Poisoned:
    """A service at which one body is the death of the bridge; all others are taken."""

    def __init__(self, bridge: BridgeProcess) -> None:
        self.bridge = bridge
        self.deaths = 0
        self.taken: list[bytes] = []

    def script(self, raw: RawServer) -> Script:
        async def follow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                body = (await raw.receive(reader)).partition(b"\r\n\r\n")[2]
                if body == b"poison" and self.bridge.returncode is None:
                    self.deaths += 1
                    signalled(self.bridge, signal.SIGKILL)
                    return
                self.taken.append(body)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

        return follow


@pytest.mark.parametrize("order", ["", "order: none, "])
async def test_a_webhook_that_kills_the_process_ends_as_a_dead_letter(tmp_path: Path, order: str) -> None:
    """P6: nobody is there to take it away, so it has to convict itself, and it alone."""
    bridge = BridgeProcess(tmp_path, "")
    poisoned = Poisoned(bridge)
    async with (
        running_relay("doorbell") as relay,
        raw_server(poisoned.script) as service,
        sender() as session,
    ):
        routes = to_service(service.url, "doorbell").replace("{name:", f"{{{order}name:")
        bridge.file.write_text(relay_section(relay) + routes)
        async with bridge:
            bodies = [b"%d" % number for number in range(20)]
            for body in [*bodies[:10], b"poison", *bodies[10:]]:
                await post(session, relay.webhook_url("doorbell"), body)
            restarts = 0
            async with asyncio.timeout(60):
                while not await _rests(bridge):
                    if bridge.returncode is not None:
                        restarts += 1
                        await bridge.start(subscribed=False)
            status = await bridge.ask("status")
            conserved(status)
            assert set(poisoned.taken) == set(bodies)
            (letter,) = (await bridge.ask("dead-list"))["letters"]
            assert letter["code"] == "crash"
            # At the first death it may not have been stored yet: then the relay sends it again.
            assert FATAL <= poisoned.deaths <= FATAL + 1
            assert restarts == poisoned.deaths
            assert await bridge.stop() == 0


async def _rests(bridge: BridgeProcess) -> bool:
    """Whether it is subscribed, owes nothing, and has a dead letter."""
    status = await bridge.try_ask("status")
    if status is None or status["relay"]["state"] != "subscribed" or not status["journal"]["dead"]:
        await asyncio.sleep(0.02)
        return False
    return not any(target["pending"] for target in status["targets"].values())


# Status and secrets


async def test_status_for_people_and_for_machines(tmp_path: Path) -> None:
    async with (
        running_relay("doorbell", "meter") as relay,
        recording_server(status=400) as service,
        sender() as session,
    ):
        text = f"node: shed\n{relay_section(relay)}{to_service(service.url, 'doorbell')}"
        text += "  - {name: meter, match: {bucket: meter, body.watts: {gt: 5}}, send: [{mqtt: power}]}\n"
        text += "brokers: {home: {url: 'mqtt://127.0.0.1:1'}}\n"
        async with BridgeProcess(tmp_path, text) as bridge:
            await post(session, relay.webhook_url("doorbell"), b"{}")
            for watts in (1, 10, 100):
                await post(session, relay.webhook_url("meter"), b'{"watts": %d}' % watts)
            await status_when(bridge, lambda s: s["counters"]["webhooks"] == 4)
            await status_when(bridge, lambda s: s["targets"]["http:shop"]["dead"] == 1)
            await status_when(bridge, lambda s: s["gaps"]["name"] == "idle" and s["gaps"]["end"])
            done = await command(bridge, "status", "--format", "json")
            status = done.json()
            assert (done.status, done.err) == (0, "")
            conserved(status)
            assert status["node"] == "shed"
            counters = status["counters"]
            assert [counters[name] for name in ("webhooks", "duplicates", "unmatched")] == [4, 0, 1]
            assert status["routes"]["meter"]["matched"] == 2
            assert status["targets"]["mqtt:home"]["pending"] == 2

            shown = await command(bridge, "status")
            assert (shown.status, shown.err) == (0, "")
            first, configuration, relay_line, gaps, webhooks, journal, memory, console, route, *targets = (
                shown.out.splitlines()
            )
            assert re.fullmatch(r"relay-bridge \S+ on shed, up 00:00:\d\d", first)
            assert configuration.startswith("configuration  generation 1 is in use, last reload: ")
            assert relay_line == "relay          subscribed (doorbell, meter)"
            assert re.match(r"gaps           idle, 0 missed webhooks found between 2", gaps)
            assert webhooks == "webhooks       4 received, 1 unmatched, 0 rejected, 0 duplicates"
            assert journal == "journal        0% of 256 MiB, 1 dead"
            assert memory.startswith("memory         ")
            assert console == "console        off"
            assert route == "route doorbell: 1 matched, 0 rejected, 0 failed, 0 limited, 1 dead"
            targets = [line for line in targets if not line.startswith(" ")]
            assert [line.split()[0] for line in targets] == ["http:shop", "mqtt:home"]
            assert targets[0].endswith(": 0 delivered, 0 pending, 1 dead, 0 expired, 0 evicted")
            assert targets[1].endswith(": 0 delivered, 2 pending, 0 dead, 0 expired, 0 evicted")
            assert await bridge.stop() == 0
