"""Replies on their way to a relay: what is waited for, how long, and what is left undone."""

import asyncio
import base64
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from bridge.config.model import RelaySettings
from bridge.counters import Counts
from bridge.delivery.dispatcher import Dispatcher
from bridge.delivery.retry import Retry
from bridge.errors import RenderError
from bridge.intake import Intake
from bridge.journal.journal import Journal
from bridge.message import Answer
from bridge.relay import responder
from bridge.replies import BUDGET, MOST_KNOWN, MOST_WAITING, Replies
from bridge.routing.reply import Replying
from bridge.secret import Secret
from bridge.webhook import Webhook
from tests.support.deliveries import ScriptedTarget, webhook
from tests.support.routing_files import config_of
from tests.support.waiting import eventually

KEY, SECRET = "the-key", "the-s3cr3t"
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()


@dataclass
class Relay:
    """A relay that takes answers, as `statuses` say, once `gate` is open."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    """For the next requests; then 200."""
    puts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    most_at_once: int = 0

    @property
    def settings(self) -> RelaySettings:
        return RelaySettings(f"ws://127.0.0.1:{self.port}/v1/socket", KEY, Secret(SECRET))

    async def put(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.authorizations.add(request.headers["Authorization"])
        self.puts.append((request.match_info["id"], orjson.loads(await request.read())))
        status = self.statuses.pop(0) if self.statuses else 200
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        return web.Response(status=status)

    def answers(self) -> list[tuple[str, int, bytes]]:
        return [
            (log_id, said["status_code"], base64.b64decode(said["response_body"]))
            for log_id, said in self.puts
        ]


@asynccontextmanager
async def running_relay() -> AsyncIterator[Relay]:
    relay = Relay()
    relay.gate.set()
    app = web.Application()
    app.router.add_put("/v1/logs/{id}", relay.put)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    relay.port = runner.addresses[0][1]
    try:
        yield relay
    finally:
        relay.gate.set()
        await runner.cleanup()


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    async with running_relay() as relay:
        yield relay


@pytest.fixture
async def replies(relay: Relay) -> AsyncIterator[Replies]:
    replies = Replies()
    replies.use(relay.settings)
    yield replies
    await replies.close()


def now(log_id: str = "log-1", *, age: float = 0.0) -> Webhook:
    return webhook(id=log_id, bucket_id="b-1", received_at=time.time() - age)


def at_once(status: int = 200, body: bytes = b"on") -> Replying:
    return Replying("light", Answer(status, (("X-A", "1"), ("X-A", "2")), body))


def after(seconds: float, answer: Answer | RenderError | None = None) -> Replying:
    return Replying("light", answer or Answer(503, (), b"later"), seconds)


async def test_an_answer_at_once_is_sent_as_the_protocol_has_it(relay: Relay, replies: Replies) -> None:
    assert replies.answer(now("log/1 ?"), at_once()) is None
    await eventually(lambda: replies.counts.sent)
    [(log_id, said)] = relay.puts
    assert log_id == "log/1 ?"
    assert said == {
        "id": "log/1 ?",
        "bucket_id": "b-1",
        "status_code": 200,
        "response_body": "b24=",
        "response_headers": {"X-A": ["1", "2"]},
        "status": "sent",
    }
    assert relay.authorizations == {BASIC}


async def test_the_first_answer_of_a_target_counts(relay: Relay, replies: Replies) -> None:
    waiting = replies.answer(now(), after(5.0))
    assert waiting is not None
    waiting.take(Answer(201, (), b"first"))
    waiting.take(Answer(202, (), b"second"))
    waiting.take(None)
    await eventually(lambda: replies.counts.sent)
    assert relay.answers() == [("log-1", 201, b"first")]
    assert replies.counts.fallbacks == 0


async def test_where_no_answer_comes_in_time_the_fallback_does(relay: Relay, replies: Replies) -> None:
    waiting = replies.answer(now(), after(0.05))
    await eventually(lambda: replies.counts.sent)
    assert waiting is not None
    waiting.take(Answer(200))
    assert relay.answers() == [("log-1", 503, b"later")]
    assert (replies.counts.sent, replies.counts.fallbacks) == (1, 1)


async def test_what_can_not_be_passed_on_brings_the_fallback_at_once(relay: Relay, replies: Replies) -> None:
    waiting = replies.answer(now(), after(5.0))
    assert waiting is not None
    waiting.take(None)
    await eventually(lambda: relay.answers() == [("log-1", 503, b"later")])


async def test_a_webhook_that_the_relay_sends_again_is_answered_once(relay: Relay, replies: Replies) -> None:
    for _ in range(2):
        replies.answer(now(), at_once())
    replies.answer(now("log-2"), at_once())
    await eventually(lambda: replies.counts.sent == 2)
    assert sorted(log_id for log_id, _ in relay.puts) == ["log-1", "log-2"]


async def test_a_sender_that_waits_no_more_is_not_answered(
    relay: Relay, replies: Replies, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(20):
        replies.answer(now(str(number), age=BUDGET + 1), at_once())
    await eventually(lambda: replies.counts.late == 20)
    assert relay.puts == []
    assert caplog.text.count("could not be given") == 1


async def test_a_clock_that_was_set_back_costs_no_answer(relay: Relay, replies: Replies) -> None:
    replies.answer(now(age=-3600), at_once())
    await eventually(lambda: relay.puts)


async def test_the_wait_ends_before_the_sender_s_does(relay: Relay, replies: Replies) -> None:
    replies.answer(now(age=BUDGET - 1.0), after(9.0))
    await eventually(lambda: replies.counts.sent)
    assert relay.answers() == [("log-1", 503, b"later")]


async def test_a_relay_that_is_busy_is_asked_again(relay: Relay, replies: Replies) -> None:
    relay.statuses = [503, 429]
    replies.answer(now(), at_once())
    await eventually(lambda: replies.counts.sent)
    assert len(relay.puts) == 3
    assert (replies.counts.failed, replies.counts.late) == (0, 0)


async def test_a_relay_that_stays_busy_is_given_up_when_the_sender_is(relay: Relay, replies: Replies) -> None:
    relay.statuses = [503] * 100
    replies.answer(now(age=BUDGET - 0.5), at_once())
    await eventually(lambda: replies.counts.late)
    assert 2 <= len(relay.puts) <= 4


async def test_a_relay_that_does_not_answer_costs_no_more_than_the_budget(
    relay: Relay, replies: Replies
) -> None:
    relay.gate.clear()
    replies.answer(now(age=BUDGET - 0.2), at_once())
    await eventually(lambda: replies.counts.late, 2.0)


@pytest.mark.parametrize("status", [400, 401, 404, 413])
async def test_a_refusal_is_final_and_holds_no_secret(
    relay: Relay, replies: Replies, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    relay.statuses = [status]
    replies.answer(now(), at_once())
    await eventually(lambda: replies.counts.failed)
    assert len(relay.puts) == 1
    assert f"HTTP {status}" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("reply", [at_once(), after(0.01)])
async def test_an_answer_that_could_not_be_rendered_is_none(
    relay: Relay, replies: Replies, reply: Replying
) -> None:
    replies.answer(now(), reply._replace(answer=RenderError("no such field")))
    await eventually(lambda: replies.counts.failed)
    assert relay.puts == []


async def test_requests_at_a_time_and_in_the_queue_are_bounded(
    relay: Relay, replies: Replies, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(responder, "MOST_QUEUED", 20)
    relay.gate.clear()
    for number in range(100):
        replies.answer(now(str(number)), at_once())
    assert replies.counts.failed == 80
    await eventually(lambda: relay.at_once == responder.AT_ONCE)
    relay.gate.set()
    await eventually(lambda: replies.counts.sent == 20)
    assert relay.most_at_once == responder.AT_ONCE


async def test_senders_that_wait_are_bounded(relay: Relay, replies: Replies) -> None:
    assert all(replies.answer(now(str(number)), after(5.0)) for number in range(MOST_WAITING))
    assert replies.answer(now("one more"), after(5.0)) is None
    await eventually(lambda: relay.answers() == [("one more", 503, b"later")])


async def test_what_is_known_of_the_past_is_bounded(relay: Relay, replies: Replies) -> None:
    replies.answer(now("first"), at_once())
    await eventually(lambda: replies.counts.sent)
    for number in range(MOST_KNOWN):
        waiting = replies.answer(now(str(number)), after(5.0, RenderError("none")))
        if waiting is not None:
            waiting.take(None)
    replies.answer(now("first"), at_once())
    await eventually(lambda: [log_id for log_id, _ in relay.puts] == ["first", "first"])


async def test_stopping_gives_those_that_wait_their_fallback(relay: Relay) -> None:
    replies = Replies()
    replies.use(relay.settings)
    replies.answer(now(), after(5.0))
    await replies.close()
    assert relay.answers() == [("log-1", 503, b"later")]


async def test_stopping_waits_for_no_relay_that_hangs(relay: Relay) -> None:
    replies = Replies()
    replies.use(relay.settings)
    relay.gate.clear()
    replies.answer(now(), at_once())
    started = time.monotonic()
    await replies.close()
    assert time.monotonic() - started < 3
    assert (replies.counts.sent, replies.counts.failed) == (0, 1)


async def test_a_changed_relay_gets_what_comes_and_the_old_one_what_was_sent_to_it(relay: Relay) -> None:
    replies = Replies()
    replies.use(relay.settings)
    relay.gate.clear()
    replies.answer(now("old"), at_once())
    await eventually(lambda: relay.at_once)
    async with running_relay() as other:
        replies.use(other.settings)
        replies.use(other.settings)
        replies.answer(now("new"), at_once())
        await eventually(lambda: replies.counts.sent == 1)
        relay.gate.set()
        await eventually(lambda: replies.counts.sent == 2)
        assert [log_id for log_id, _ in relay.puts] == ["old"]
        assert [log_id for log_id, _ in other.puts] == ["new"]
        await replies.close()


async def test_a_relay_that_can_not_be_reached_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    replies = Replies()
    replies.use(RelaySettings("ws://127.0.0.1:1/v1/socket", KEY, Secret(SECRET)))
    for number in range(5):
        replies.answer(now(str(number), age=BUDGET - 0.3), at_once())
    await eventually(lambda: replies.counts.late == 5)
    assert caplog.text.count("could not be given") == 1
    assert SECRET not in caplog.text
    await replies.close()


# On the path of webhooks

LIGHT = (
    "relay: {key: a, secret: b}\nroutes:\n"
    '  - {name: light, dedupe: "{{ body.key }}", send: [{mqtt: home/light}],\n'
    '     reply: {from: mqtt, status: 503, body: "{{ body.key }}"}}\n'
)


async def test_only_a_delivery_that_is_made_is_waited_for(
    relay: Relay, replies: Replies, tmp_path: Path
) -> None:
    journal = await Journal.open(tmp_path / "journal.db", max_bytes=16 * 1024 * 1024)
    counts = Counts()
    dispatcher = Dispatcher(journal, counts)
    broker = ScriptedTarget("mqtt:home")
    broker.listener = dispatcher
    dispatcher.use({"mqtt:home": (broker, Retry())})
    intake = Intake(dispatcher, counts, config_of(LIGHT).table, 1, replies=replies)
    for log_id in ("first", "its repeat"):
        intake.accept(webhook(b'{"key": "k"}', id=log_id, received_at=time.time()))
    intake.accept(webhook(b'{"key": "l"}', id="late", late=True))
    await eventually(lambda: relay.answers() == [("its repeat", 503, b"k")])

    [first, late] = await eventually(lambda: broker.taken if len(broker.taken) == 2 else [])
    assert late.answered is None
    assert first.answered is not None
    first.answered(Answer(200, (), b"from the target"))
    await eventually(lambda: relay.answers()[1:] == [("first", 200, b"from the target")])
    await dispatcher.stop()
    await journal.close()
