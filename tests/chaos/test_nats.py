"""Three relay processes on one NATS, one of them killed every few seconds: who was promised what got it."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from tests.chaos.budget import budgeted, time_limit
from tests.chaos.subscribers import END, Guest, Sender
from tests.support.nats import NatsServer
from tests.support.relay_process import RelayProcess
from tests.support.waiting import eventually

WEBHOOKS = budgeted(1000)
SHARE = 500
"""Webhooks from one kill to the next, at most."""
PROCESSES = 3
KILL_EVERY = 2.0
"""Seconds from one kill to the next."""
BUCKETS = ("even", "odd")
GUESTS = {
    "all": (["even", "odd"], True),
    "even-only": (["even"], True),
    "odd-only": (["odd"], True),
    "plain": (["even", "odd"], False),
}
"""Buckets, and whether it acknowledges. Each has a token of its own, named as it is."""
VISITS = (0.5, 3.0)
"""Seconds that one lasts."""
CALM = (3.0, 6.0)
"""Of who doesn't acknowledge: it has to stay for the answer to a ping after all that waited for it."""
STAYING = (60.0, 60.0)
CREW = ("crew-1", "crew-2", "crew-3")
"""Members of a group."""


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[list[RelayProcess]]:
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(NatsServer(folder))
        tokens = json.dumps({name: name for name in (*GUESTS, *CREW)})
        buckets = json.dumps({name: {"id": name, "inputs": {"in": {"id": f"in-{name}"}}} for name in BUCKETS})
        settings = f"engine: {{nats: '{nats.url}'}}\ntokens: {tokens}\nbuckets: {buckets}\n"
        relays = [RelayProcess(folder, settings) for _ in range(PROCESSES)]
        for one in relays:
            stack.push_async_callback(one.kill)
        await asyncio.gather(*(one.start() for one in relays))
        yield relays


class Killer:
    """Kills one process after the other, and starts it again."""

    def __init__(self, relays: Sequence[RelayProcess]) -> None:
        self.kills = 0
        self._relays = relays

    async def killed(self, count: int) -> None:
        await eventually(lambda: self.kills >= count, 60)

    async def work(self) -> None:
        for relay in itertools.cycle(self._relays):
            await asyncio.sleep(KILL_EVERY)
            await relay.kill()
            self.kills += 1
            await relay.start()


def guests_of(relays: Sequence[RelayProcess]) -> list[Guest]:
    sockets = [one.socket_url for one in relays]
    return [
        Guest(
            sockets,
            name,
            buckets,
            acknowledges=acknowledges,
            chance=Random(number),
            lasts=VISITS if acknowledges else CALM,
        )
        for number, (name, (buckets, acknowledges)) in enumerate(GUESTS.items())
    ]


def crew_of(relays: Sequence[RelayProcess]) -> list[Guest]:
    sockets = [one.socket_url for one in relays]
    return [member(name, sockets, lasts=VISITS) for name in CREW]


def member(name: str, sockets: Sequence[str], *, lasts: tuple[float, float]) -> Guest:
    chance = Random(name)
    return Guest(sockets, name, list(BUCKETS), acknowledges=True, chance=chance, group="crew", lasts=lasts)


def addressed() -> list[tuple[str, str]]:
    return [(f"/v1/webhooks/in-{BUCKETS[n % 2]}", str(n)) for n in range(WEBHOOKS)]


def together(crew: Sequence[Guest]) -> Counter[str]:
    return sum((one.numbers for one in crew), Counter())


@pytest.mark.timeout(time_limit(90))
async def test_nothing_is_lost_while_processes_die(tmp_path: Path) -> None:
    async with cluster(tmp_path) as relays:
        guests, crew = guests_of(relays), crew_of(relays)
        sender, killer = Sender(*(one.url for one in relays)), Killer(relays)
        working = [asyncio.create_task(one.stay()) for one in crew]
        working.append(asyncio.create_task(killer.work()))
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for guest in guests:
                group.create_task(guest.stay())
            for number, start in enumerate(range(0, WEBHOOKS, SHARE)):
                await sender.send_all(addressed()[start : start + SHARE])
                await killer.killed(number + 1)
            await sender.send_all([(f"/v1/webhooks/in-{name}", END) for name in BUCKETS], at_once=1)
        everything = {str(n) for n in range(WEBHOOKS)}
        # What a killed process had given to a member comes again when NATS gives it up.
        await eventually(lambda: together(crew).keys() == everything, 60, every=0.5)
        took = time.monotonic() - began
        for one in working:
            one.cancel()
        await asyncio.wait(working)
    for guest in guests:
        wanted = {str(n) for n in range(WEBHOOKS) if BUCKETS[n % 2] in guest.buckets}
        assert guest.numbers.keys() == wanted, guest.key
    counts = ", ".join(f"{one.key}: {one.visits} visits, {one.repeats} repeats" for one in (*guests, *crew))
    told = f"{killer.kills} kills, {took:.0f} s, {sender.failures} requests in vain"
    print(f"{WEBHOOKS} webhooks, {told}; {counts}")  # noqa: T201  # figures, for -rP


async def test_a_group_shares_a_stream_and_each_webhook_goes_to_one(tmp_path: Path) -> None:
    async with cluster(tmp_path) as relays:
        crew = [
            Guest(
                [relay.socket_url],
                name,
                list(BUCKETS),
                acknowledges=True,
                chance=Random(name),
                group="crew",
                lasts=STAYING,
            )
            for relay, name in zip(relays, CREW, strict=True)
        ]
        working = [asyncio.create_task(one.stay()) for one in crew]
        await eventually(lambda: all(one.visits for one in crew))
        await Sender(*(one.url for one in relays)).send_all(addressed()[:500])
        await eventually(lambda: len(together(crew)) == 500, 30)
        for one in working:
            one.cancel()
        await asyncio.wait(working)
    assert set(together(crew).values()) == {1}
    assert min(one.numbers.total() for one in crew) > 500 / 10, "each has its share"
