"""Subscribers come and go while webhooks come, and the relay is killed: who was promised what got it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.chaos.budget import budgeted, time_limit
from tests.chaos.subscribers import END, Guest, Sender
from tests.support.relay_process import RelayProcess
from tests.support.waiting import eventually

WEBHOOKS = budgeted(400)
BUCKETS = ("even", "odd")
GUESTS = {
    "all": (["even", "odd"], True),
    "even-only": (["even"], True),
    "odd-only": (["odd"], True),
    "plain": (["even", "odd"], False),
    "plain-odd": (["odd"], False),
}
"""Buckets, and whether it acknowledges. Each has a token of its own, named as it is."""


@asynccontextmanager
async def relay_in(folder: Path) -> AsyncIterator[RelayProcess]:
    tokens = json.dumps({name: name for name in GUESTS})
    buckets = json.dumps({name: {"inputs": {"in": {"id": f"in-{name}"}}} for name in BUCKETS})
    relay = RelayProcess(folder, f"state: {folder / 'state'}\ntokens: {tokens}\nbuckets: {buckets}\n")
    await relay.start()
    try:
        yield relay
    finally:
        await relay.kill()


@pytest.mark.timeout(time_limit(60))
@pytest.mark.parametrize("kills", [0, max(1, WEBHOOKS // 2000)])
async def test_each_gets_everything_and_what_it_acknowledged_once(tmp_path: Path, kills: int) -> None:
    began = time.monotonic()
    async with relay_in(tmp_path) as relay:
        socket = relay.url.replace("http", "ws") + "/v1/socket"
        guests = [
            Guest([socket], name, buckets, acknowledges=acknowledges, chance=Random(number))
            for number, (name, (buckets, acknowledges)) in enumerate(GUESTS.items())
        ]
        sender = Sender(relay.url)
        async with asyncio.TaskGroup() as group:
            for guest in guests:
                group.create_task(guest.stay())
            sending = group.create_task(
                sender.send_all([(f"/v1/webhooks/in-{BUCKETS[n % 2]}", str(n)) for n in range(WEBHOOKS)])
            )
            for number in range(kills):
                share = WEBHOOKS * (number + 1) // (kills + 1)
                await eventually(lambda share=share: sender.sent >= share, 300)  # type: ignore[misc]
                await relay.kill()
                await relay.start()
            await sending
            await sender.send_all([(f"/v1/webhooks/in-{name}", END) for name in BUCKETS], at_once=1)
    for guest in guests:
        wanted = {str(n) for n in range(WEBHOOKS) if BUCKETS[n % 2] in guest.buckets}
        assert guest.numbers.keys() == wanted, guest.key
        if guest.acknowledges and not kills:
            assert guest.repeats == 0, guest.key
            assert set(guest.numbers.values()) == {1}, guest.key
    assert sum(guest.visits for guest in guests) > len(guests), "they came and went"
    took = f"{time.monotonic() - began:.0f} s, {sender.failures} requests in vain"
    counts = ", ".join(f"{one.key}: {one.visits} visits, {one.repeats} repeats" for one in guests)
    print(f"{WEBHOOKS} webhooks, {kills} kills, {took}; {counts}")  # noqa: T201  # figures, for -rP
