"""Rows of the fault matrix that need the whole daemon, one at a time. A test is named after its rows."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random

from bridge.relay.frames import encode_webhook
from tests.chaos import service as answers
from tests.chaos.relay import BAD_FRAMES
from tests.chaos.rig import Rig
from tests.chaos.scenario import doorbells, events
from tests.chaos.usage import MIB_KIB, peak_kib
from tests.chaos.world import BROKER, Settings
from tests.support.relay import a_webhook
from tests.support.waiting import eventually, eventually_async


async def test_p3_a_second_signal_ends_it_now(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        rig.broker_wire.freeze()
        await rig.send(doorbells(20))
        await rig.safe()
        os.kill(rig.bridge.pid, signal.SIGTERM)
        await rig.gone()  # the intake is closed, and the broker is waited for
        assert rig.bridge.returncode is None
        began = time.monotonic()
        os.kill(rig.bridge.pid, signal.SIGTERM)
        await eventually(lambda: rig.bridge.returncode is not None)
        assert rig.bridge.returncode == 1
        assert time.monotonic() - began < 2
        rig.broker_wire.cut(with_reset=True)
        await rig.revive()
        assert not (await rig.verdict()).wrong


async def test_r3_r6_r7_r8_bad_frames_cost_nothing_but_themselves(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        await rig.settle()
        for number, frame in enumerate(BAD_FRAMES):
            await rig.pusher.say(frame)
            await rig.send(doorbells(1, first=number))
        await rig.settle()
        status = await rig.status()
        assert sum(status["relay"]["bad_frames"].values()) == len(BAD_FRAMES)
        assert len(rig.relay.connections) == 1
        assert not (await rig.verdict()).wrong


async def test_r9_a_body_that_no_route_looks_into_is_not_parsed(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        before = peak_kib(rig.bridge.pid)
        bomb = replace(a_webhook(1, bucket="nobody's"), raw=b"[" + b"{}," * 1_000_000 + b"{}]")
        await rig.pusher.say(encode_webhook(bomb))

        async def counted() -> bool:
            return bool((await rig.status())["counters"]["unmatched"] == 1)

        await eventually_async(counted)
        assert peak_kib(rig.bridge.pid) - before < 40 * MIB_KIB


async def test_r11_a_flood_with_everything_down(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        await rig.broker_down(signal.SIGTERM)
        rig.service.answer = answers.status(503)
        await rig.send([replace(event, size=2000) for event in events(Random(11), 4000, poison=0.0)])
        await rig.safe()
        rig.service.answer = answers.FINE
        await rig.broker_up()
        assert not (await rig.verdict()).wrong


async def test_m3_what_an_acl_refuses_is_held_until_it_is_mended(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        acl = tmp_path / "acl"
        acl.write_text("topic readwrite ring/#\n")
        await rig.broker_down(signal.SIGTERM)
        # Without a limit to its queues, Mosquitto 2.0.11 throws out whoever it denies something.
        rig.broker.configure(f"acl_file {acl}", "max_queued_messages 100000")
        await rig.broker_up()
        await rig.send(doorbells(60))
        await rig.safe()

        async def only_the_refused_are_left() -> bool:
            status = (await rig.status())["targets"][BROKER]
            return bool(status["pending"] == 60 and status["delivered"] == 60)

        await eventually_async(only_the_refused_are_left)
        acl.write_text("topic readwrite #\n")
        await rig.broker_down(signal.SIGTERM)
        await rig.broker_up()
        await rig.restart()  # the next attempt is half a minute away
        assert not (await rig.verdict()).wrong


async def test_m4_what_is_too_big_is_a_dead_letter_and_holds_up_nothing(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        await rig.broker_down(signal.SIGTERM)
        rig.broker.configure("max_packet_size 5000")
        await rig.broker_up()
        small, big = doorbells(40), doorbells(3, first=100, size=9000)
        await rig.send([*small[:20], *big, *small[20:]])
        await rig.settle()
        status = await rig.drained()
        assert status["targets"][BROKER]["dead"] == 2 * len(big), "two routes each"
        assert status["targets"][BROKER]["delivered"] == 2 * len(small)
        assert sorted(rig.oracle.arrived["all"]) == [event.n for event in small]


async def test_c6_every_replacement_of_the_file_is_noticed(tmp_path: Path) -> None:
    async with Rig(tmp_path, Settings()) as rig:
        for generation in range(2, 6):
            fresh = rig.bridge.file.with_suffix(".new")
            fresh.write_text(rig.routing() + f"# {generation}\n")
            fresh.rename(rig.bridge.file)
            await rig.until(lambda status: status["configuration"]["generation"] == generation, 5)  # noqa: B023  # awaited here
