"""The vocabulary of faults. Each strikes when its `async with` begins, and is healed when it ends."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from random import Random

from tests.chaos import service as answers
from tests.chaos.relay import BAD_FRAMES
from tests.chaos.rig import Rig
from tests.chaos.service import Answer
from tests.chaos.world import BROKER, SERVICE
from tests.support.waiting import eventually_async

Strike = Callable[[Rig, Random], AbstractAsyncContextManager[None]]


class Part(Enum):
    """What breaks."""

    RELAY = "relay"
    BROKER = "broker"
    SERVICE = "service"
    BRIDGE = "bridge"


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault."""

    name: str
    part: Part
    strike: Strike


FAULTS: dict[str, Fault] = {}


def fault(part: Part, name: str) -> Callable[[Callable[[Rig, Random], AsyncIterator[None]]], Strike]:
    """Names a kind of fault."""

    def register(work: Callable[[Rig, Random], AsyncIterator[None]]) -> Strike:
        strike = asynccontextmanager(work)
        FAULTS[name] = Fault(name, part, strike)
        return strike

    return register


# The relay


def _closes(code: int) -> None:
    @fault(Part.RELAY, f"relay closes with {code}")
    async def strike(rig: Rig, _chance: Random) -> AsyncIterator[None]:
        await rig.pusher.leave(code)
        yield


for _code in (1000, 1001, 1011, 1012):
    _closes(_code)


@fault(Part.RELAY, "relay resets")
async def relay_resets(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.pusher.reset()
    yield


@fault(Part.RELAY, "relay's wire is cut")
async def relay_wire_is_cut(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.relay_wire.cut(with_reset=chance.random() < 0.5)
    yield


@fault(Part.RELAY, "relay can't be reached")
async def relay_is_away(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    await rig.relay_wire.refuse()
    yield
    await rig.relay_wire.admit()


@fault(Part.RELAY, "relay's wire is half-open, then cut")
async def relay_wire_is_half_open(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.relay_wire.freeze()
    yield
    rig.relay_wire.cut(with_reset=True)


@fault(Part.RELAY, "relay stalls for a while")
async def relay_stalls(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.relay_wire.freeze()
    yield
    rig.relay_wire.heal()


@fault(Part.RELAY, "relay drips")
async def relay_drips(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.relay_wire.slice = chance.randint(1, 40)
    yield
    await asyncio.sleep(0.1)
    rig.relay_wire.heal()


@fault(Part.RELAY, "relay talks garbage")
async def relay_talks_garbage(rig: Rig, chance: Random) -> AsyncIterator[None]:
    for frame in chance.sample(BAD_FRAMES, k=12):
        await rig.pusher.say(frame)
    await rig.pusher.ping()
    yield
    for frame in chance.sample(BAD_FRAMES, k=12):
        await rig.pusher.say(frame)


@fault(Part.RELAY, "relay answers 503")
async def relay_is_unavailable(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.pusher.answer_next(HTTPStatus.SERVICE_UNAVAILABLE)
    rig.pusher.reset()
    yield


@fault(Part.RELAY, "relay answers 429")
async def relay_is_busy(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.pusher.answer_next(HTTPStatus.TOO_MANY_REQUESTS, retry_after="1")
    rig.pusher.reset()
    yield


@fault(Part.RELAY, "relay accepts and closes")
async def relay_accepts_and_closes(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.pusher.accept_and_close(times=1)
    rig.pusher.reset()
    yield


@fault(Part.RELAY, "relay refuses the credentials")
async def relay_refuses_credentials(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.relay.secret = rig.secret = "another"
    rig.pusher.reset()

    async def refused() -> bool:
        return bool((await rig.status())["relay"]["state"] == "unauthorized")

    yield
    await eventually_async(refused)
    rig.bridge.file.write_text(rig.routing())
    await rig.bridge.ask("reload")


@fault(Part.RELAY, "relay sends again, in another order")
async def relay_sends_again(rig: Rig, chance: Random) -> AsyncIterator[None]:
    yield
    await rig.settle()
    known = list(rig.oracle.events.values())
    await rig.send(chance.sample(known, k=min(50, len(known))))


@fault(Part.RELAY, "relay sends too much at once")
async def relay_floods(rig: Rig, chance: Random) -> AsyncIterator[None]:
    # One large message is as good as many: it must fit, and delay what is behind it only.
    for size in (100_000, 1_000_000):
        await rig.pusher.say('{"type":"future","data":"' + "x" * chance.randint(1, size) + '"}')
    yield


# The broker


@fault(Part.BROKER, "broker restarts")
async def broker_restarts(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    await rig.broker_down(signal.SIGTERM)
    yield
    await rig.broker_up()


@fault(Part.BROKER, "broker is killed")
async def broker_is_killed(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    await rig.broker_down(signal.SIGKILL)
    yield
    await rig.broker_up()


@fault(Part.BROKER, "broker freezes")
async def broker_freezes(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.broker.freeze()
    yield
    rig.broker.thaw()


@fault(Part.BROKER, "broker freezes, and its wire is cut")
async def broker_freezes_and_is_cut(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.broker.freeze()
    yield
    rig.oracle.excuse(BROKER, rig.settings.window)
    rig.broker_wire.cut(with_reset=True)
    rig.broker.thaw()


@fault(Part.BROKER, "broker's wire is cut")
async def broker_wire_is_cut(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.oracle.excuse(BROKER, rig.settings.window)
    rig.broker_wire.cut(with_reset=chance.random() < 0.5)
    yield


@fault(Part.BROKER, "broker's answers are lost")
async def broker_answers_are_lost(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.broker_wire.deaf = True
    yield
    rig.oracle.excuse(BROKER, rig.settings.window)
    rig.broker_wire.heal()


@fault(Part.BROKER, "broker can't be reached")
async def broker_is_away(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.oracle.excuse(BROKER, rig.settings.window)
    await rig.broker_wire.refuse()
    yield
    await rig.broker_wire.admit()


@fault(Part.BROKER, "broker is slow")
async def broker_is_slow(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.broker_wire.slice = chance.randint(20, 500)
    rig.broker_wire.delay = 0.001
    yield
    rig.broker_wire.heal()


# The service


def _answers(name: str, *choices: Answer) -> None:
    @fault(Part.SERVICE, f"service {name}")
    async def strike(rig: Rig, chance: Random) -> AsyncIterator[None]:
        rig.service.answer = chance.choice(choices)
        yield
        rig.service.answer = answers.FINE


_answers("fails", *(answers.status(code) for code in (500, 502, 503, 504, 408, 425)))
_answers("is busy", answers.status(429, "Retry-After: 1"))
_answers("hangs", answers.HANGS)
_answers("resets", answers.RESETS)
_answers("ends in the status line", answers.HALF_A_STATUS)
_answers("ends after the status line", answers.ENDS_AFTER_STATUS)
_answers("never ends its body", answers.ENDLESS_BODY)
_answers("sends interim answers for ever", answers.ENDLESS_INTERIM)
_answers("answers garbage", answers.GARBAGE, answers.HUGE_HEADERS)
_answers("is slow", answers.LATE)


@fault(Part.SERVICE, "service can't be reached")
async def service_is_away(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.oracle.excuse(SERVICE, rig.settings.requests)
    await rig.service_wire.refuse()
    yield
    await rig.service_wire.admit()


@fault(Part.SERVICE, "service's wire is cut")
async def service_wire_is_cut(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.oracle.excuse(SERVICE, rig.settings.requests)
    rig.service_wire.cut(with_reset=True)
    yield


@fault(Part.SERVICE, "service's answers are lost")
async def service_answers_are_lost(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    rig.oracle.excuse(SERVICE, rig.settings.requests)
    rig.service_wire.deaf = True
    yield
    rig.service_wire.heal()


# The bridge


@fault(Part.BRIDGE, "bridge is killed, and everything is settled")
async def bridge_is_killed_settled(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    yield
    await rig.safe()
    await rig.kill()


@fault(Part.BRIDGE, "bridge is killed on the way")
async def bridge_is_killed_busy(rig: Rig, chance: Random) -> AsyncIterator[None]:
    await rig.safe()
    yield
    await asyncio.sleep(chance.uniform(0.0, 0.05))
    await rig.kill()


@fault(Part.BRIDGE, "bridge is killed with the broker down")
async def bridge_is_killed_owing(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    await rig.broker_down(signal.SIGTERM)
    yield
    await rig.safe()
    await rig.kill()
    await rig.broker_up()


@fault(Part.BRIDGE, "bridge is killed while it catches up")
async def bridge_is_killed_draining(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.service.answer = answers.status(503)
    await rig.broker_down(signal.SIGTERM)
    yield
    await rig.safe()
    rig.service.answer = answers.FINE
    await rig.broker_up()
    await asyncio.sleep(chance.uniform(0.0, 0.8))
    await rig.kill()


@fault(Part.BRIDGE, "bridge is told to stop")
async def bridge_is_stopped(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    yield
    await rig.settle()
    await rig.restart()


@fault(Part.BRIDGE, "bridge is told to stop with everything down")
async def bridge_is_stopped_owing(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    await rig.broker_down(signal.SIGTERM)
    await rig.service_wire.refuse()
    rig.oracle.excuse(SERVICE, rig.settings.requests)
    yield
    await rig.settle()
    await rig.restart()
    await rig.broker_up()
    await rig.service_wire.admit()


@fault(Part.BRIDGE, "bridge is frozen for a while")
async def bridge_freezes(rig: Rig, _chance: Random) -> AsyncIterator[None]:
    os.kill(rig.bridge.pid, signal.SIGSTOP)
    yield
    os.kill(rig.bridge.pid, signal.SIGCONT)


@fault(Part.BRIDGE, "bridge's file is edited")
async def bridge_is_reloaded(rig: Rig, chance: Random) -> AsyncIterator[None]:
    rig.bridge.file.write_text(rig.routing() + f"# {chance.random()}\n")
    await rig.bridge.ask("reload")
    yield
    rig.bridge.file.write_text(rig.routing().replace("routes:", "ruotes:"))
    assert (await rig.bridge.ask("reload"))["outcome"] == "rejected"
    rig.bridge.file.write_text(rig.routing())
    await rig.bridge.ask("reload")
