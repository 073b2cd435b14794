"""The client against a real WebSocket server that does what relays and networks do."""

import asyncio
import logging
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from bridge.errors import CredentialsRefused
from bridge.relay.client import LOUD_CHANGES, RelayClient, RelayState
from bridge.selfhosted.resources import Limits
from bridge.webhook import Webhook
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.relays import KEY as OWN_KEY
from tests.support.relays import SECRET as OWN_SECRET
from tests.support.relays import post, running_relay, sender
from tests.support.waiting import eventually

PING = '{"type":"status","status":"ping"}'


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with scripted_relay() as relay:
        yield relay


def client_of(relay: ScriptedRelay, **options: Any) -> RelayClient:
    defaults: dict[str, Any] = {"key": KEY, "secret": SECRET, "url": relay.url, "chance": lambda: 0.01}
    return RelayClient(**{**defaults, **options})


@dataclass
class Run:
    """A client that runs, and what it handed over."""

    client: RelayClient
    taken: list[Webhook]
    task: asyncio.Task[None]

    @property
    def ids(self) -> list[str]:
        return [webhook.id for webhook in self.taken]

    async def until(self, name: str) -> RelayState:
        await eventually(lambda: self.client.state.name == name)
        return self.client.state


@asynccontextmanager
async def running(relay: ScriptedRelay, **options: Any) -> AsyncIterator[Run]:
    client = client_of(relay, **options)
    taken: list[Webhook] = []
    task = asyncio.create_task(client.run(taken.append))
    try:
        yield Run(client, taken, task)
    finally:
        await client.close()
        await task


def others() -> set[asyncio.Task[Any]]:
    """Tasks beside the test's own."""
    return asyncio.all_tasks() - {asyncio.current_task()}


# Subscribing and receiving


async def test_it_subscribes_and_hands_over_webhooks_in_order(relay: ScriptedRelay) -> None:
    async with running(relay, buckets=["doorbell", "github"]) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(*(a_webhook(number, body="x" * 10) for number in range(50)))
        await eventually(lambda: len(run.taken) == 50)
        assert run.ids == [str(number) for number in range(50)]
        assert relay.credentials == [(KEY, SECRET)]
        assert relay.subscriptions[0].buckets == ("doorbell", "github")
        assert run.client.state.name == "subscribed"
        assert run.client.counters.webhooks == 50
        assert run.client.counters.bytes == 500
    assert relay.close_codes == [1000]


@pytest.mark.parametrize(("buckets", "asked"), [(None, None), ([], None), ("doorbell", ("doorbell",))])
async def test_buckets_may_be_all_or_one(
    relay: ScriptedRelay, buckets: list[str] | str | None, asked: tuple[str, ...] | None
) -> None:
    async with running(relay, buckets=buckets) as run:
        await run.client.subscribed()
        assert relay.subscriptions[0].buckets == asked


async def test_webhooks_before_the_subscription_is_confirmed_count(relay: ScriptedRelay) -> None:
    async def eager(connection: ServerConnection) -> None:
        relay.subscribers.append(connection)
        await relay.send(a_webhook(1))
        await relay.converse(connection)

    relay.conversation = eager
    async with running(relay) as run:
        await run.until("subscribed")
        assert run.ids == ["1"]


async def test_pings_are_answered(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(PING)
        await eventually(lambda: '{"action":"pong"}' in relay.received)


async def test_frames_that_are_no_messages_are_counted_and_the_connection_kept(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        bomb = "[" * 100_000
        await relay.send(
            "garbage", b"\x00\xff", bomb, "[]", '{"type":"news"}', '{"type":"status","status":"?"}'
        )
        await relay.send(a_webhook(1))
        await eventually(lambda: run.ids == ["1"])
        assert run.client.counters.bad_frames == {
            "garbage": 1,
            "binary": 1,
            "too-deep": 1,
            "not-an-object": 1,
            "ignored": 2,
        }
        assert [frame.data for frame in run.client.quarantine.frames][:2] == ["garbage", b"\x00\xff"]
        assert relay.handshakes == 1


# Losing the connection


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012])
async def test_it_comes_back_after_a_close(relay: ScriptedRelay, code: int) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        await relay.connections[0].close(code)
        await eventually(lambda: len(relay.subscribers) == 1 and relay.handshakes == 2)
        await relay.send(a_webhook(1))
        await eventually(lambda: run.ids == ["1"])


async def test_it_comes_back_after_a_reset(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        raw = relay.connections[0].transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        relay.connections[0].transport.abort()
        await eventually(lambda: relay.handshakes == 2 and run.client.state.name == "subscribed")


async def test_it_waits_for_a_relay_that_is_not_there_yet() -> None:
    async with scripted_relay() as gone:
        pass
    async with running(gone) as run:
        down = await run.until("down")
        assert "no connection" in down.reason
        async with scripted_relay(gone.port):
            await run.until("subscribed")


async def test_accepting_and_closing_does_not_reset_the_back_off(relay: ScriptedRelay) -> None:
    async def slam(connection: ServerConnection) -> None:
        await connection.close(1000)

    relay.conversation = slam
    async with running(relay, chance=lambda: 0.02):
        await eventually(lambda: len(relay.attempts) >= 6)
    gaps = [later - earlier for earlier, later in zip(relay.attempts, relay.attempts[1:], strict=False)]
    assert all(gap >= 0.02 * 2**number for number, gap in enumerate(gaps[:5]))


async def test_a_subscription_that_does_not_last_does_not_reset_it_either(relay: ScriptedRelay) -> None:
    relay.conversation = relay.greet_and_close
    async with running(relay, chance=lambda: 0.02) as run:
        await eventually(lambda: len(relay.attempts) >= 5)
        assert run.client.counters.connects >= 4
    gaps = [later - earlier for earlier, later in zip(relay.attempts, relay.attempts[1:], strict=False)]
    assert all(gap >= 0.02 * 2**number for number, gap in enumerate(gaps[:4]))


async def test_a_relay_that_never_confirms_is_a_failure(relay: ScriptedRelay) -> None:
    async def mute(connection: ServerConnection) -> None:
        async for _ in connection:
            await connection.send(PING)

    relay.conversation = mute
    async with running(relay, subscribe_timeout=0.05, close_timeout=0.05) as run:
        down = await run.until("down")
        assert down.reason == "not subscribed within 0.05 s"
        await eventually(lambda: relay.handshakes >= 2)


async def test_a_peer_that_stopped_answering_is_found_by_its_pings(relay: ScriptedRelay) -> None:
    async with running(relay, ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05) as run:
        await run.client.subscribed()
        relay.connections[0].transport.pause_reading()
        await eventually(lambda: len(relay.connections) == 2 and run.client.state.name == "subscribed")


async def test_silence_is_a_failure_even_where_pings_are_answered(relay: ScriptedRelay) -> None:
    reasons = []
    async with running(relay, silence_timeout=0.1, on_state=lambda s: reasons.append(s.reason)) as run:
        await eventually(lambda: relay.handshakes >= 2)
        await run.client.subscribed()
    assert "no message for 0.1 s" in reasons


async def test_any_message_ends_the_silence(relay: ScriptedRelay) -> None:
    async with running(relay, silence_timeout=0.15) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        loop = asyncio.get_running_loop()
        end = loop.time() + 0.5
        while loop.time() < end:
            await relay.send(PING)
            await asyncio.sleep(0.01)
        assert relay.handshakes == 1


@pytest.mark.parametrize("malformed", ["x" * 5000, b"\xff\xfe"], ids=["too large", "not UTF-8"])
async def test_a_malformed_message_that_comes_every_time_raises_the_alarm(
    relay: ScriptedRelay, malformed: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def resend(connection: ServerConnection) -> None:
        await connection.send(malformed, text=True)
        await relay.converse(connection)

    relay.conversation = resend
    async with running(relay, max_frame=1000) as run:
        await eventually(lambda: run.client.state.alarm)
        state = run.client.state
        assert state.name == "down"
        assert "message is" in state.reason
        assert relay.handshakes == 3
    assert "keeps sending" in caplog.text


# Credentials


async def test_refused_credentials_are_tried_again_when_told(relay: ScriptedRelay) -> None:
    relay.secret = "another"
    async with running(relay) as run:
        state = await run.until("unauthorized")
        assert state.reason == "the relay refused the credentials: 'no such key'"
        relay.secret = SECRET
        run.client.reconnect_now()
        await run.until("subscribed")
        assert relay.handshakes == 2


async def test_credentials_may_be_refused_later(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send('{"type":"status","status":"unauthorized"}')
        await run.until("unauthorized")


async def test_the_secret_is_nowhere_but_in_its_frame(
    relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    states: list[RelayState] = []
    url = relay.url.replace("ws://", "ws://user:hunter2@")
    relay.secret = "another"
    async with running(relay, url=url, on_state=states.append) as run:
        await run.until("unauthorized")
        relay.secret = SECRET
        run.client.reconnect_now()
        await run.until("subscribed")
    for shown in (caplog.text, repr(states), repr(vars(run.client))):
        assert SECRET not in shown
        assert "hunter2" not in shown
    assert relay.credentials == [(KEY, SECRET)] * 2


# Holding


async def test_hold_disconnects_cleanly_and_loses_nothing_on_the_way(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(*(a_webhook(number, body="x" * 1000) for number in range(100)))
        await relay.send(PING, *(a_webhook(number, body="x" * 1000) for number in range(100)))
        run.client.hold("the journal is full")  # most of it is on its way
        held = await run.until("held")
        assert held.reason == "the journal is full"
        assert len(run.taken) == 200
        assert relay.close_codes == [1000]
        assert not relay.subscribers
        run.client.release()
        await run.until("subscribed")
        assert relay.handshakes == 2


async def test_a_handler_may_hold(relay: ScriptedRelay) -> None:
    client = client_of(relay)
    taken: list[Webhook] = []

    def handler(webhook: Webhook) -> None:
        taken.append(webhook)
        client.hold("enough")

    task = asyncio.create_task(client.run(handler))
    await client.subscribed()
    await eventually(lambda: relay.subscribers)
    await relay.send(a_webhook(1), a_webhook(2))
    await eventually(lambda: client.state.name == "held")
    assert [webhook.id for webhook in taken] == ["1", "2"]
    await client.close()
    await task


async def test_held_from_the_start_it_does_not_connect(relay: ScriptedRelay) -> None:
    client = client_of(relay)
    client.hold("not yet")
    task = asyncio.create_task(client.run(lambda _: None))
    await eventually(lambda: client.state.name == "held")
    client.reconnect_now()
    assert relay.handshakes == 0
    client.release()
    await client.subscribed()
    await client.close()
    await task


async def test_release_does_not_wait_for_the_back_off(relay: ScriptedRelay) -> None:
    relay.secret = "another"
    async with running(relay) as run:
        await run.until("unauthorized")
        relay.secret = SECRET
        run.client.hold("a moment")
        await run.until("held")
        run.client.release()
        await run.until("subscribed")


# Ending


@asynccontextmanager
async def a_server_that_never_answers() -> AsyncIterator[ScriptedRelay]:
    writers: list[asyncio.StreamWriter] = []
    relay = ScriptedRelay()

    def ignore(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        relay.handshakes += 1

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    try:
        relay.port = server.sockets[0].getsockname()[1]
        yield relay
    finally:
        for writer in writers:
            writer.close()
        server.close()
        await server.wait_closed()


async def test_a_handshake_without_an_answer_is_given_up() -> None:
    async with a_server_that_never_answers() as deaf, running(deaf, open_timeout=0.05) as run:
        assert (await run.until("down")).reason == "no connection within 0.05 s"


@pytest.mark.parametrize("what", ["close", "hold"])
async def test_an_attempt_that_hangs_does_not_delay_close_or_hold(what: str) -> None:
    async with a_server_that_never_answers() as deaf, running(deaf) as run:
        await eventually(lambda: deaf.handshakes)
        async with asyncio.timeout(1):
            if what == "close":
                await run.client.close()
            else:
                run.client.hold("now")
                await run.until("held")


async def test_close_leaves_no_task_and_no_socket(relay: ScriptedRelay) -> None:
    before = others()
    async with running(relay) as run:
        await run.client.subscribed()
    assert run.client.state.name == "closed"
    await eventually(lambda: relay.close_codes == [1000])
    await eventually(lambda: others() <= before)


async def test_cancelling_leaves_no_task_and_no_socket(relay: ScriptedRelay) -> None:
    before = others()
    client = client_of(relay)
    task = asyncio.create_task(client.run(lambda _: None))
    await client.subscribed()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: relay.close_codes == [1000])
    await eventually(lambda: others() <= before)
    await client.close()


async def test_holding_and_releasing_in_one_breath_connects_anew(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        run.client.hold("oh")
        run.client.release()
        await eventually(lambda: relay.handshakes == 2 and run.client.state.name == "subscribed")


async def test_closing_during_the_back_off_is_prompt(relay: ScriptedRelay) -> None:
    relay.secret = "another"
    async with running(relay) as run:
        await run.until("unauthorized")
        async with asyncio.timeout(1):
            await run.client.close()


async def test_a_client_closed_before_it_ran_returns_at_once(relay: ScriptedRelay) -> None:
    client = client_of(relay)
    await client.close()
    await client.run(lambda _: None)
    assert relay.handshakes == 0


async def test_it_runs_only_once_at_a_time(relay: ScriptedRelay) -> None:
    async with running(relay) as run:
        await run.client.subscribed()
        with pytest.raises(RuntimeError, match="already running"):
            await run.client.run(lambda _: None)


async def test_an_error_of_the_handler_ends_the_run(relay: ScriptedRelay) -> None:
    client = client_of(relay)

    def fail(webhook: Webhook) -> None:
        raise KeyError(webhook.id)

    task = asyncio.create_task(client.run(fail))
    await client.subscribed()
    await eventually(lambda: relay.subscribers)
    await relay.send(a_webhook(5))
    with pytest.raises(KeyError, match="5"):
        await task
    assert client.state.name == "closed"


# What it tells


async def test_each_state_is_told_once(relay: ScriptedRelay) -> None:
    states: list[str] = []
    async with running(relay, on_state=lambda state: states.append(state.name)) as run:
        await run.client.subscribed()
        await relay.connections[0].close(1011)
        await eventually(lambda: relay.handshakes == 2 and run.client.state.name == "subscribed")
        run.client.hold("full")
        await run.until("held")
        run.client.release()
        await run.until("subscribed")
    assert states == ["subscribed", "down", "subscribed", "held", "connecting", "subscribed", "closed"]


async def test_the_age_of_the_last_message(relay: ScriptedRelay) -> None:
    client = client_of(relay)
    assert client.state.last_message_age is None
    async with running(relay) as run:
        await run.client.subscribed()
        age = run.client.state.last_message_age
        assert age is not None
        assert 0 <= age < 5


async def test_an_outage_is_two_lines_and_flapping_is_soon_quiet(
    relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    relay.conversation = relay.greet_and_close
    async with running(relay, chance=lambda: 0.001):
        await eventually(lambda: len(relay.attempts) >= LOUD_CHANGES + 2)
    lines = [record.getMessage() for record in caplog.records if record.name == "bridge.relay.client"]
    assert lines[0] == "relay: subscribed (doorbell)"
    assert lines[1].startswith("relay: down (the relay closed the connection (1011")
    assert len(lines) == LOUD_CHANGES
    assert re.fullmatch(r"relay: subscribed \(doorbell\) after 0\.\d s", lines[2])
    fields = [record.__dict__["state"] for record in caplog.records if "state" in record.__dict__]
    assert fields[:3] == ["subscribed", "down", "subscribed"]
    assert "\x1b" not in caplog.text


# A script's `async for`


async def test_iterating(relay: ScriptedRelay) -> None:
    before = others()
    async with client_of(relay) as client:
        first = asyncio.create_task(anext(client))
        await client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(*(a_webhook(number) for number in range(5)))
        ids = [(await first).id]
        async for webhook in client:
            ids.append(webhook.id)
            if len(ids) == 5:
                break
        assert ids == ["0", "1", "2", "3", "4"]
    with pytest.raises(StopAsyncIteration):
        await anext(client)
    await eventually(lambda: others() <= before)


async def test_iterating_with_refused_credentials_raises(relay: ScriptedRelay) -> None:
    relay.secret = "another"
    async with client_of(relay) as client:
        with pytest.raises(CredentialsRefused, match="no such key"):
            await anext(client)


async def test_a_slow_consumer_is_cut_off_and_comes_back(relay: ScriptedRelay) -> None:
    async with client_of(relay, buffer=20) as client:
        iterator = aiter(client)
        first = asyncio.create_task(anext(iterator))
        await client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(*(a_webhook(number) for number in range(100)))
        await eventually(lambda: client.state.name == "held")
        assert client.state.reason == "the consumer is too slow"
        assert relay.close_codes == [1000]
        ids = [(await first).id] + [(await anext(iterator)).id for _ in range(99)]
        assert ids == [str(number) for number in range(100)]
        await client.subscribed()
        await eventually(lambda: relay.subscribers)
        await relay.send(a_webhook(100))
        assert (await anext(iterator)).id == "100"


async def test_iterating_goes_on_across_a_loss(relay: ScriptedRelay) -> None:
    async with client_of(relay) as client:
        pending = asyncio.create_task(anext(client))
        await client.subscribed()
        await relay.connections[0].close(1011)
        await eventually(lambda: relay.handshakes == 2 and relay.subscribers)
        await relay.send(a_webhook(1))
        assert (await pending).id == "1"


# Groups


async def test_clients_of_a_group_share_and_get_what_one_that_left_did_not_accept() -> None:
    received: list[list[Webhook]] = [[], []]
    async with running_relay("doorbell") as relay, sender() as session:
        clients = [
            RelayClient(key=OWN_KEY, secret=OWN_SECRET, url=relay.socket_url, ack=True, group="workers")
            for _ in received
        ]
        runs = [asyncio.create_task(one.run(to.append)) for one, to in zip(clients, received, strict=True)]
        await asyncio.gather(*(one.subscribed() for one in clients))
        for number in range(4):
            await post(session, relay.webhook_url("doorbell"), b"%d" % number)
        await eventually(lambda: [len(one) for one in received] == [2, 2])
        assert sorted(one.text for both in received for one in both) == ["0", "1", "2", "3"]
        await clients[0].close()
        await eventually(lambda: len(received[1]) == 4)
        assert sorted(one.text for one in received[1]) == ["0", "1", "2", "3"]
        await clients[1].close()
        await asyncio.gather(*runs)


async def test_a_relay_without_groups_is_told_of_once(
    relay: ScriptedRelay, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(relay, group="workers") as run:
        await run.client.subscribed()
        await relay.subscribers[0].close(1001)
        await eventually(lambda: len(relay.subscriptions) == 2)
        await run.client.subscribed()
    assert [one.group for one in relay.subscriptions] == ["workers"] * 2
    assert caplog.text.count("each member of 'workers' gets every webhook") == 1


async def test_only_accepted_webhooks_are_acknowledged_and_the_next_connection_goes_on_there() -> None:
    received: list[Webhook] = []
    async with running_relay("doorbell", limits=Limits(confirm=0.01)) as relay, sender() as session:
        client = RelayClient(key=OWN_KEY, secret=OWN_SECRET, url=relay.socket_url, ack=True)
        run = asyncio.create_task(client.run(received.append))
        await client.subscribed()
        for body in (b"1", b"2", b"3"):
            await post(session, relay.webhook_url("doorbell"), body)
        await eventually(lambda: len(received) == 3)
        client.accepted(received[2].id)
        client.accepted(received[0].id)
        await eventually(lambda: relay.hub.reached(received[0].bucket_id) == 1)
        client.hold("test")
        await eventually(lambda: relay.subscribers == 0)
        client.release()
        await eventually(lambda: len(received) == 5)
        assert [one.text for one in received] == ["1", "2", "3", "2", "3"]
        await client.close()
        await run
