"""Rows of the fault matrix in which the machine fails: its memory, its descriptors, its clock, its disk."""

import asyncio
import os
import resource
import shutil
import signal
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.chaos import service as answers
from tests.chaos.disk import filled, small_disk
from tests.chaos.insider import Insider
from tests.chaos.nature import Nature, needs_gcc
from tests.chaos.rig import PATIENCE, POLL, Rig
from tests.chaos.scenario import doorbells, events
from tests.chaos.usage import MIB_KIB, data_kib, peak_kib
from tests.chaos.world import BROKER, Settings
from tests.support.waiting import eventually

ROOM_KIB = 64 * MIB_KIB
"""Memory beyond what it takes at rest that is enough for the bridge, whatever it is sent."""
DAY = 24.0


async def everything_down(rig: Rig) -> None:
    """Whatever comes from now on is owed."""
    rig.service.answer = answers.status(503)
    await rig.broker_down(signal.SIGTERM)


async def everything_up(rig: Rig) -> None:
    rig.service.answer = answers.FINE
    await rig.broker_up()


# P5, The event loop is stuck


class Manager:
    """A service manager that is told how the bridge does."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))

    def close(self) -> None:
        self._socket.close()

    def fed(self) -> bool:
        """Whether the watchdog was fed since the last look."""
        found = False
        try:
            while True:
                found = b"WATCHDOG=1" in self._socket.recv(4096) or found
        except BlockingIOError:
            return found


async def test_p5_an_event_loop_that_is_stuck_is_not_fed(tmp_path: Path) -> None:
    manager = Manager(tmp_path / "notify")
    try:
        async with Rig(tmp_path, Settings()) as rig:
            rig.bridge.environment |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"}
            insider = Insider(rig.bridge)
            await rig.restart()
            await eventually(manager.fed, PATIENCE)
            await eventually(manager.fed, PATIENCE)
            await insider.stand_still()
            manager.fed()
            with pytest.raises(AssertionError, match="not within"):
                await eventually(manager.fed, 0.5)
            os.kill(rig.bridge.pid, signal.SIGABRT)  # what systemd does then
            await eventually(lambda: rig.bridge.returncode == -signal.SIGABRT, PATIENCE)
            assert "in stand_still" in rig.bridge.log_text(), "it says where it was stuck"
    finally:
        manager.close()


# P7, Memory is short


async def test_p7_an_outage_takes_disk_and_not_memory(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        pid = rig.bridge.pid
        before = peak_kib(pid)
        limit = (data_kib(pid) + ROOM_KIB) * 1024
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
        await rig.broker_down(signal.SIGTERM)
        await rig.send(doorbells(500, size=200_000))  # 100 MB
        await rig.safe()
        assert rig.bridge.pid == pid
        assert peak_kib(pid) - before < ROOM_KIB
        await rig.broker_up()
        assert not (await rig.verdict()).wrong


async def test_p7_what_ends_for_want_of_memory_loses_nothing(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        await rig.broker_down(signal.SIGTERM)
        await rig.send(doorbells(100))
        await rig.safe()
        limit = data_kib(rig.bridge.pid) * 1024
        resource.prlimit(rig.bridge.pid, resource.RLIMIT_DATA, (limit, limit))
        # A bridge without memory may read no more, so nobody waits here for what is being sent.
        sending = asyncio.create_task(rig.send(doorbells(300, first=100, size=200_000)))
        await eventually(
            lambda: rig.bridge.returncode is not None or "MemoryError" in rig.bridge.log_text(), PATIENCE
        )
        if rig.bridge.returncode is None:
            # Python waits for ever for a thread that had no memory to begin: that is the watchdog's business.
            await rig.bridge.kill()
        await sending
        await rig.revive()
        await rig.safe()
        await rig.broker_up()
        assert not (await rig.verdict()).wrong


# P8, Descriptors are used up


async def test_p8_without_descriptors_it_waits_for_some(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings(linger=0)) as rig:
        Insider(rig.bridge, hurried=True)
        await rig.restart()
        await rig.settle()
        pid = rig.bridge.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))  # what is open stays, and nothing is added
        await rig.send(doorbells(100))
        await eventually(lambda: len(rig.oracle.arrived["all"]) == 100)
        rig.oracle.excuse(BROKER, rig.settings.window)
        for wire in (rig.relay_wire, rig.broker_wire):
            wire.cut()
        question = asyncio.create_task(rig.bridge.ask("status"))
        await eventually(lambda: "Too many open files" in rig.bridge.log_text())
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        await question
        await rig.send(list(events(Random(8), 100, first=100)))
        await rig.settle()
        assert rig.bridge.pid == pid
        assert not (await rig.verdict()).wrong


# P9, The wall clock jumps


@needs_gcc
@pytest.mark.parametrize("jump", [4 * DAY, -4 * DAY, -20_000 * DAY])
async def test_p9_a_clock_that_jumps_changes_nothing(tmp_path: Path, jump: float) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        nature = Nature(tmp_path, rig.bridge.folder / "state")
        rig.bridge.environment |= nature.environment
        await rig.restart()
        await everything_down(rig)
        sent = list(events(Random(9), 300, poison=0.0))
        await rig.send(sent[:100])
        await rig.safe()
        nature.set_clock(jump)
        await rig.send(sent[100:200])
        await rig.safe()
        await rig.restart()
        nature.set_clock(-jump)
        await rig.send(sent[200:])
        await rig.safe()
        await rig.kill()
        await everything_up(rig)
        assert not (await rig.verdict()).wrong, "nothing expired, nothing was lost"


@needs_gcc
async def test_p9_timers_do_not_wait_for_a_clock_that_was_set_back(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        nature = Nature(tmp_path, rig.bridge.folder / "state")
        rig.bridge.environment |= nature.environment
        await rig.restart()
        await everything_down(rig)
        await rig.send(list(events(Random(9), 100, poison=0.0)))
        await rig.safe()
        nature.set_clock(-10 * DAY)
        rig.relay_wire.cut()
        await everything_up(rig)
        await rig.until(lambda status: not any(one["pending"] for one in status["targets"].values()), 10)
        assert not (await rig.verdict()).wrong


# S1, The disk is full


async def test_s1_a_full_disk_stops_the_intake_and_not_the_delivery(tmp_path: Path) -> None:
    state = tmp_path / "bridge" / "state"
    with small_disk(state, mib=4):
        async with Rig(tmp_path, Settings(linger=0)) as rig:
            await rig.broker_down(signal.SIGTERM)
            await rig.send(doorbells(200, size=1000))
            await rig.safe()
            with filled(state):
                await rig.send(doorbells(200, first=200, size=5000))
                status = await rig.until(lambda status: status["relay"]["state"] == "held")
                assert "full" in status["journal"]["full"]
                assert rig.pusher.subscriber is None, "nothing more is taken"
                assert stored(rig, tmp_path / "copy.db") > 0
                await rig.broker_up()
                await rig.until(lambda status: status["targets"][BROKER]["pending"] == 0)
                # What is delivered is marked although there is no room.
                await eventually(lambda: stored(rig, tmp_path / "copy.db") == 0, PATIENCE, every=POLL)
            await rig.send(doorbells(200, first=400))
            assert not (await rig.verdict()).wrong, "it takes webhooks again, by itself"


def stored(rig: Rig, copy: Path) -> int:
    """Deliveries that a crash would leave now, read elsewhere, where there is room for it."""
    os.kill(rig.bridge.pid, signal.SIGSTOP)
    try:
        for suffix in ("", "-wal"):
            shutil.copy(f"{rig.bridge.folder / 'state' / 'journal.db'}{suffix}", f"{copy}{suffix}")
    finally:
        os.kill(rig.bridge.pid, signal.SIGCONT)
    with closing(sqlite3.connect(copy)) as db:
        return int(db.execute("SELECT count(*) FROM deliveries").fetchone()[0])


# S2 and S3, The disk fails


@needs_gcc
@pytest.mark.parametrize("fault", ["read-only", "EIO"])
async def test_s2_s3_a_disk_that_fails_is_a_restart_and_loses_nothing(tmp_path: Path, fault: str) -> None:
    async with Rig(tmp_path, Settings(linger=0)) as rig:
        nature = Nature(tmp_path, rig.bridge.folder / "state")
        rig.bridge.environment |= nature.environment
        await rig.restart()
        await everything_down(rig)
        sent = list(events(Random(2), 300, poison=0.0))
        await rig.send(sent[:100])
        await rig.safe()
        if fault == "read-only":
            nature.read_only()
        else:
            nature.fail_syncs(1000)
        await rig.send(sent[100:200])
        await eventually(lambda: rig.bridge.returncode == 1)
        assert "relay-bridge: the journal failed: " in rig.bridge.log_text()
        nature.heal()
        await rig.revive()
        await rig.send(sent[200:])
        await rig.safe()
        await everything_up(rig)
        assert not (await rig.verdict()).wrong


@needs_gcc
async def test_s3_one_failure_of_the_disk_is_repaired_at_once(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings(linger=0)) as rig:
        nature = Nature(tmp_path, rig.bridge.folder / "state")
        rig.bridge.environment |= nature.environment
        await rig.restart()
        await everything_down(rig)
        nature.fail_syncs(1)
        await rig.send(list(events(Random(3), 100, poison=0.0)))
        await rig.safe()
        assert "the journal failed and is opened again" in rig.bridge.log_text()
        await rig.kill()
        await everything_up(rig)
        assert not (await rig.verdict()).wrong
