"""What the service manager hears from a real daemon, from its start to its end, in order."""

import asyncio
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.cli import Done, run
from tests.support.process import BridgeProcess
from tests.support.waiting import eventually

NOWHERE = "relay: {url: 'ws://127.0.0.1:1/', key: a, secret: b}\nconsole: off\n"
GOOD = NOWHERE + "routes: []\n"
OTHER = NOWHERE + "node: other\nroutes: []\n"
BAD = NOWHERE + "routs: []\n"

Message = dict[str, str]


class Manager:
    """Stands in for systemd at the other end of the notify socket."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._messages: list[Message] = []
        self._alive = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        self._socket.setblocking(False)

    @property
    def messages(self) -> list[Message]:
        """What has come so far, but signs of life."""
        self._take()
        return self._messages

    @property
    def alive(self) -> int:
        """How many signs of life have come so far."""
        self._take()
        return self._alive

    def _take(self) -> None:
        while True:
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            if data == b"WATCHDOG=1":
                self._alive += 1
            else:
                self._messages.append(dict(line.split("=", 1) for line in data.decode().split("\n")))

    async def hears(self, number: int) -> list[Message]:
        """All messages so far, once there are so many."""
        await eventually(lambda: len(self.messages) >= number, 20)
        return self.messages

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager() -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        listening = Manager(f"{folder}/notify")
        yield listening
        listening.close()


@asynccontextmanager
async def ready(tmp_path: Path, manager: Manager, **environment: str) -> AsyncIterator[BridgeProcess]:
    """A daemon that has said it is ready."""
    bridge = BridgeProcess(tmp_path, GOOD, NOTIFY_SOCKET=manager.path, **environment)
    try:
        await bridge.start(subscribed=False)
        await manager.hears(1)
        yield bridge
    finally:
        await bridge.__aexit__(None, None, None)


async def reload(bridge: BridgeProcess) -> Done:
    """What ExecReload= does."""
    folder = str(bridge.folder / "run")
    return await asyncio.to_thread(run, "reload", "--wait", "10", RUNTIME_DIRECTORY=folder)


def ready_message(generation: int, outcome: str) -> Message:
    return {"READY": "1", "STATUS": f"generation {generation}, 0 routes, last reload: {outcome}"}


async def test_from_the_start_to_the_stop(tmp_path: Path, manager: Manager) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    async with ready(tmp_path, manager) as bridge:
        assert (await manager.hears(1)) == [ready_message(1, "applied")], "and nothing before that"

        done = await reload(bridge)
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("unchanged: generation 1 ")
        first, second = (await manager.hears(3))[1:]
        assert second == ready_message(1, "unchanged")
        assert set(first) == {"RELOADING", "MONOTONIC_USEC"}
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        assert before < int(first["MONOTONIC_USEC"]) < after

        os.kill(bridge.pid, signal.SIGHUP)
        begins, ends = (await manager.hears(5))[3:]
        assert begins["RELOADING"] == "1"
        assert int(begins["MONOTONIC_USEC"]) > int(first["MONOTONIC_USEC"])
        assert ends == ready_message(1, "unchanged")

        assert await bridge.stop() == 0
        assert (await manager.hears(6))[5:] == [{"STOPPING": "1"}]
        assert manager.alive == 0, "nobody asked for a sign of life"


async def test_a_good_reload_and_a_bad_one(tmp_path: Path, manager: Manager) -> None:
    async with ready(tmp_path, manager) as bridge:
        bridge.file.write_text(OTHER)
        assert (await reload(bridge)).status == 0
        assert ready_message(2, "applied") in await manager.hears(3)

        bridge.file.write_text(BAD)
        done = await reload(bridge)
        assert done.status == 1
        assert f"{bridge.file}:3:1: error[" in done.err
        assert done.out.startswith("rejected: generation 2 ")
        await eventually(lambda: manager.messages[-1] == ready_message(2, "rejected"))

        # The service runs on; mending the file is enough.
        bridge.file.write_text(OTHER)
        await eventually(lambda: manager.messages[-1] == ready_message(2, "unchanged"))
        assert await bridge.stop() == 0
    assert manager.messages[-1] == {"STOPPING": "1"}
    # Each reload that began has ended before the next one, and the file's watcher may have made some too.
    kinds = [next(iter(message)) for message in manager.messages]
    assert kinds == ["READY", *["RELOADING", "READY"] * (len(kinds) // 2 - 1), "STOPPING"]


async def test_reloads_at_the_same_time_follow_one_another(tmp_path: Path, manager: Manager) -> None:
    async with ready(tmp_path, manager) as bridge:
        bridge.file.write_text(OTHER)
        answers = await asyncio.gather(*(bridge.ask("reload") for _ in range(4)))
        outcomes = [answer["outcome"] for answer in answers]
        assert set(outcomes) <= {"applied", "unchanged"}
        assert outcomes.count("applied") <= 1, "the file's watcher may have been first"
        messages = (await manager.hears(9))[1:]
    assert ready_message(2, "applied") in messages
    assert [next(iter(message)) for message in messages[:8]] == ["RELOADING", "READY"] * 4


async def test_the_watchdog_is_fed_and_not_once_the_process_is_stuck(
    tmp_path: Path, manager: Manager
) -> None:
    async with ready(tmp_path, manager, WATCHDOG_USEC="200000") as bridge:
        await eventually(lambda: manager.alive >= 3, 20)
        os.kill(bridge.pid, signal.SIGSTOP)
        await eventually(lambda: Path(f"/proc/{bridge.pid}/stat").read_text().split()[2] == "T")
        fed = manager.alive
        deadline = time.monotonic() + 0.5
        await eventually(lambda: time.monotonic() > deadline)
        assert manager.alive == fed
        os.kill(bridge.pid, signal.SIGCONT)
        await eventually(lambda: manager.alive > fed, 20)


async def test_a_watchdog_of_another_process_is_left_alone(tmp_path: Path, manager: Manager) -> None:
    async with ready(tmp_path, manager, WATCHDOG_USEC="200000", WATCHDOG_PID="1") as bridge:
        assert (await reload(bridge)).status == 0
        await manager.hears(3)
        assert await bridge.stop() == 0
    assert manager.alive == 0


async def test_a_start_that_fails_is_never_ready(tmp_path: Path, manager: Manager) -> None:
    bridge = BridgeProcess(tmp_path, BAD, NOTIFY_SOCKET=manager.path)
    await bridge.start(subscribed=False)
    await eventually(lambda: bridge.returncode is not None, 20)
    assert (bridge.returncode, manager.messages) == (78, [])


async def test_a_second_instance_is_never_ready(tmp_path: Path, manager: Manager) -> None:
    own = Manager(f"{manager.path}-2")
    try:
        async with ready(tmp_path, manager):
            second = BridgeProcess(tmp_path, GOOD, NOTIFY_SOCKET=own.path)
            await second.start(subscribed=False)
            await eventually(lambda: second.returncode is not None, 20)
            assert (second.returncode, own.messages) == (75, [])
    finally:
        own.close()


async def test_a_start_with_the_last_good_file_says_so(tmp_path: Path, manager: Manager) -> None:
    async with ready(tmp_path, manager) as bridge:
        await eventually((tmp_path / "state" / "last-good.json").exists)
        assert await bridge.stop() == 0
        bridge.file.write_text(BAD)
        await bridge.start(subscribed=False)
        assert (await manager.hears(3))[2] == ready_message(1, "rejected")
        assert await bridge.stop() == 0


async def test_a_kill_is_no_farewell(tmp_path: Path, manager: Manager) -> None:
    async with ready(tmp_path, manager) as bridge:
        await bridge.kill()
        assert manager.messages == [ready_message(1, "applied")]
