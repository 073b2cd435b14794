"""Hostile input of every kind: it is taken, or refused in our own words, and never slowly."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from bridge.errors import FrameError
from bridge.message import DELIVERED, MqttMessage
from bridge.relay.frames import Status, Unknown, decode_frame, encode_webhook
from bridge.relay.protocol import ClientProtocol, ServerProtocol
from bridge.secret import Secret
from bridge.webhook import Webhook
from tests.chaos.budget import budgeted, time_limit
from tests.chaos.mutation import mutated
from tests.chaos.world import Event
from tests.support.mqtt import Publish, ScriptedBroker, connack, feeding, puback, publication
from tests.support.routing_files import EXAMPLE, config_of, loaded

FRAMES = budgeted(200_000)
FILES = budgeted(400)
BROKERS = budgeted(30)
AT_ONCE = 30
SLOW = 0.250
"""Seconds of CPU time."""

FORM = (
    '{"type":"webhook","meta":{"id":"7","bucked_id":"b","bucket_name":"slack","input_id":"i",'
    '"output_destination":"/light?x=1"},"headers":{"Content-Type":["application/x-www-form-urlencoded"],'
    '"X":["a","b"]},"query":"a=1&a=2","body":"text=on&n=5","method":"POST"}'
)
PUSH = (
    '{"type":"webhook","meta":{"id":"8","bucket_name":"github"},"headers":{"X-Github-Event":["push"]},'
    '"query":null,"body":"{\\"ref\\":\\"refs/heads/x\\",\\"repository\\":{\\"full_name\\":\\"a/b\\"},'
    '\\"commits\\":[1,2]}"}'
)
SUBSCRIBED = '{"type":"status","status":"subscribed","message":"subscribed to buckets: a, b"}'
RING = encode_webhook(Event(1, "door", "s1", poison=False, size=0).webhook())
SEEDS = (FORM, PUSH, SUBSCRIBED, RING)


class Stopwatch:
    """The slowest of many."""

    def __init__(self) -> None:
        self.slowest = 0.0
        self.culprit = ""

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Times one input, by the CPU: a busy machine is not its fault."""
        began = time.thread_time()
        yield
        took = time.thread_time() - began
        if took > self.slowest:
            self.slowest, self.culprit = took, what


@pytest.mark.timeout(time_limit(120))
def test_frames() -> None:
    chance = Random(1)
    watch = Stopwatch()
    outcomes: Counter[str] = Counter()
    for _ in range(FRAMES):
        text = mutated(chance.choice(SEEDS), chance)
        with watch.on(text):
            try:
                frame = decode_frame(text, 0.0)
            except FrameError as error:
                outcomes[error.code] += 1
            else:
                assert isinstance(frame, Webhook | Status | Unknown)
                outcomes[type(frame).__name__] += 1
    assert watch.slowest < SLOW, watch.culprit[:300]
    assert set(outcomes) >= {"Webhook", "Status", "garbage", "too-deep", "duplicate-key", "bad-field"}, (
        outcomes
    )


@pytest.mark.timeout(time_limit(120))
def test_both_sides_of_the_conversation() -> None:
    chance = Random(2)
    client, server = ClientProtocol("k", Secret("s"), None), ServerProtocol()
    client.opened()
    said = ('{"action":"auth","key":"k","secret":"s"}', '{"action":"subscribe","buckets":["a"],"x":1}')
    refused = 0
    for _ in range(FRAMES // 20):
        hear: Callable[[], object]
        for hear in (
            lambda: client.receive(mutated(chance.choice(SEEDS), chance), 0.0),
            lambda: server.receive(mutated(chance.choice(said), chance)),
        ):
            try:
                hear()
            except FrameError:
                refused += 1
    assert refused > FRAMES // 100


@pytest.mark.timeout(time_limit(120))
def test_webhooks_through_the_routes() -> None:
    chance = Random(3)
    watch = Stopwatch()
    table = config_of(EXAMPLE).table
    routed: Counter[str] = Counter()
    for _ in range(FRAMES // 10):
        text = mutated(chance.choice(SEEDS), chance)
        try:
            frame = decode_frame(text, 0.0)
        except FrameError:
            continue
        if isinstance(frame, Webhook):
            with watch.on(text):
                plans = table.route(frame).plans
            for plan in plans:
                routed[plan.route] += 1
                if isinstance(plan.message, MqttMessage):
                    topic = plan.message.topic
                    assert topic.startswith(("home/", "ci/"))
                    assert not set(topic) & set("+#\0"), topic
    assert watch.slowest < SLOW, watch.culprit[:300]
    assert set(routed) >= {"github-push", "slash-command"}, routed


@pytest.mark.timeout(time_limit(120))
def test_routing_files() -> None:
    chance = Random(4)
    watch = Stopwatch()
    outcomes: Counter[str] = Counter()
    for _ in range(FILES):
        text = mutated(EXAMPLE, chance)
        with watch.on(text):
            result = loaded(text)
        outcomes["taken" if result.config is not None else "refused"] += 1
        assert result.config is not None or result.problems, "refused without a reason"
        assert "password-of-the-broker" not in result.report()
    assert watch.slowest < SLOW, watch.culprit[:300]
    assert min(outcomes["taken"], outcomes["refused"]) > FILES / 20, outcomes


@pytest.mark.timeout(time_limit(120))
async def test_a_broker_that_talks_garbage() -> None:
    chance = Random(5)
    packets = (
        connack(),
        puback(Publish("t", 1, 1, dup=False, retain=False, connection=1)),
        b"\xd0\x00",
        b"\xe0\x00",
    )

    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            await talk(number)

    async def talk(number: int) -> None:
        garbage = damaged(packets[number % len(packets)], chance)

        def greet(connection: int) -> bytes:
            return garbage if connection == 1 and number % 2 else connack()

        def answer(publish: Publish) -> bytes:
            return garbage if publish.connection == 1 else puback(publish)

        async with ScriptedBroker(answer, greet) as broker, feeding(broker.port, keepalive=2) as feeder:
            feeder.give(publication(1))
            if broker.connections == 1:
                broker.say(damaged(puback(broker.publishes[0]) if broker.publishes else b"\x30", chance))
                broker.say(b"\xff" * 64)  # no packet has this type
            await feeder.wait(1, 60)
            assert feeder.results[-1][1] == DELIVERED

    await asyncio.gather(*(one(number) for number in range(BROKERS)))


def damaged(packet: bytes, chance: Random) -> bytes:
    """A packet that is none any more, and something behind it that ends what may still wait for more."""
    data = bytearray(packet)
    for _ in range(chance.randint(1, 3)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data) + chance.randbytes(chance.randrange(20)) + b"\xff" * 300
