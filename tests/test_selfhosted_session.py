import asyncio
import contextlib
import json
import logging
import socket
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bridge.selfhosted.resources import Bucket, Limits
from tests.support.relay_clients import (
    OTHER,
    TOKEN,
    bodies,
    heard,
    opened,
    post,
    running,
    say,
    settings_of,
    subscribed,
)
from tests.support.waiting import eventually

GOOD = {"action": "auth", "key": "pi", "secret": "s3cr3t"}


async def closing(client: ClientConnection) -> tuple[int | None, str]:
    """Code and reason of the close frame, after whatever else comes."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.recv()
    return client.close_code, client.close_reason or ""


# Authenticate and subscribe


async def test_the_documented_answers() -> None:
    async with running(settings_of("123", "other")) as relay:
        client = await opened(relay)
        await say(client, GOOD)
        assert await heard(client) == {
            "type": "status",
            "status": "authenticated",
            "message": "connected successfully, subscribe to buckets",
        }
        await say(client, {"action": "subscribe", "buckets": ["123"]})
        assert await heard(client) == {
            "type": "status",
            "status": "subscribed",
            "message": "subscribed to buckets: 123",
        }
        await client.close()


@pytest.mark.parametrize(
    ("wanted", "names", "received"),
    [
        ({}, "a, b", ["1", "2"]),
        ({"buckets": []}, "a, b", ["1", "2"]),
        ({"buckets": [""]}, "a, b", ["1", "2"]),
        ({"buckets": None}, "a, b", ["1", "2"]),
        ({"buckets": ["b"]}, "b", ["2"]),
        ({"buckets": ["id-of-b", "a"]}, "id-of-b, a", ["1", "2"]),
        ({"buckets": ["b", "b", "id-of-b"]}, "b, id-of-b", ["2"]),
        ({"buckets": ["b", "nowhere"]}, "b", ["2"]),
    ],
)
async def test_buckets_by_name_or_id(wanted: dict[str, Any], names: str, received: list[str]) -> None:
    b = Bucket("b", "id-of-b", Bucket.named("b").inputs)
    async with running(settings_of("a", b)) as relay:
        client = await opened(relay)
        await say(client, GOOD)
        await heard(client)
        await say(client, {"action": "subscribe", **wanted})
        assert (await heard(client))["message"] == f"subscribed to buckets: {names}"
        await post(relay, "a", "1")
        await post(relay, "b", "2", "end")
        assert await bodies(client, len(received) + 1) == [*received, "end"]
        await client.close()


async def test_relay_go_sends_every_field_always() -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        await say(client, {"action": "auth", "key": "pi", "secret": "s3cr3t", "buckets": None})
        assert (await heard(client))["status"] == "authenticated"
        await say(client, {"action": "subscribe", "key": "", "secret": "", "buckets": [""]})
        assert (await heard(client))["message"] == "subscribed to buckets: a"
        await say(client, {"action": "pong", "key": "", "secret": "", "buckets": None})
        await post(relay, "a", "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()


async def test_unknown_words_are_ignored_at_any_time() -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        for frame in ({"action": "pong"}, {"action": "dance"}, {}, {**GOOD, "version": 7}):
            await say(client, frame)
        assert (await heard(client))["status"] == "authenticated"
        await say(client, {"action": "dance"})
        await say(client, {"action": "subscribe", "since": None})
        assert (await heard(client))["status"] == "subscribed"
        await say(client, {"action": "subscribe"})
        await post(relay, "a", "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()


@pytest.mark.parametrize(
    "frame",
    [
        {**GOOD, "secret": "wrong"},
        {**GOOD, "key": "wrong"},
        {**GOOD, "secret": "0ther"},
        {"action": "auth"},
        {"action": "auth", "key": None, "secret": None},
        {"action": "subscribe"},
    ],
)
async def test_who_is_not_let_in_is_told_so(frame: dict[str, Any]) -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        await say(client, frame)
        answer = await heard(client)
        assert (answer["type"], answer["status"]) == ("status", "unauthorized")
        assert await closing(client) == (1008, "unauthorized")
        assert relay.counters.refused == (frame["action"] == "auth")


async def test_unknown_buckets_are_one_escaped_warning(caplog: pytest.LogCaptureFixture) -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay, ["\x1b[31mred", "x" * 500])
        await client.close()
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert "2 unknown buckets: '\\x1b[31mred', 'xxx" in record.getMessage()
    assert len(record.getMessage()) < 250


@pytest.mark.parametrize(
    ("said", "code"),
    [([], 1008), ([GOOD], 1008), ([{"action": "pong"}], 1008)],
)
async def test_who_does_not_subscribe_in_time_is_shown_out(said: list[dict[str, Any]], code: int) -> None:
    async with running(settings_of("a", limits=Limits(handshake=0.1))) as relay:
        client = await opened(relay)
        for frame in said:
            await say(client, frame)
        assert await closing(client) == (code, "too slow to subscribe")


# Malformed messages


@pytest.mark.parametrize(
    "message",
    ["", "ping", "[]", "null", "{", b"{}", '{"action":1}', '{"action":"auth","action":"pong"}', "[" * 60_000],
)
async def test_a_stranger_who_sends_garbage_is_shown_out(message: str | bytes) -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        await client.send(message)
        code, reason = await closing(client)
        assert code == 1008
        assert reason.startswith("malformed: ")
        assert relay.counters.malformed == 1


async def test_a_subscriber_who_sends_garbage_is_counted_and_kept() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        for message in ("ping", b"\0", "[]"):
            await client.send(message)
        await eventually(lambda: relay.counters.malformed == 3)
        await post(relay, "a", "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()


@pytest.mark.parametrize("is_subscribed", [False, True])
async def test_a_message_larger_than_64_kib_ends_the_connection(is_subscribed: bool) -> None:
    async with running(settings_of("a")) as relay:
        client = await (subscribed(relay) if is_subscribed else opened(relay))
        await client.send(json.dumps({**GOOD, "note": "x" * 65_536}))
        code, _ = await closing(client)
        assert code == 1009
        await eventually(lambda: relay.subscribers == 0)


# Frames


async def test_every_subscriber_gets_every_event_in_order() -> None:
    async with running(settings_of("a", "b")) as relay:
        clients = [await subscribed(relay, token=(TOKEN, OTHER)[i % 2]) for i in range(20)]
        texts = [f"{bucket}{i}" for i in range(25) for bucket in "ab"]
        for text in texts:
            await post(relay, text[0], text)
        for client in clients:
            assert await bodies(client, len(texts)) == texts
        assert relay.counters.delivered == len(clients) * len(texts)
        for client in clients:
            await client.close()


async def test_a_burst_and_frames_of_every_size_arrive_whole() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        sizes = [0, 1, 100, 126, 65_535, 65_536, 200_000] * 20
        bucket = Bucket.named("a").id
        for size in sizes:
            relay.hub.publish(bucket, json.dumps({"body": "x" * size}))
        assert [len(one) for one in await bodies(client, len(sizes))] == sizes
        await client.close()


async def test_a_client_that_offers_compression_is_served_all_the_same() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay, compression="deflate")
        assert client.protocol.extensions == []
        await post(relay, "a", "1")
        assert await bodies(client, 1) == ["1"]
        await client.close()


async def test_a_slow_subscriber_is_cut_and_the_others_are_not_harmed() -> None:
    limits = Limits(queue_bytes=256 * 1024, close=10.0)
    async with running(settings_of("a", limits=limits)) as relay:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", relay.port))
        slow = await subscribed(relay, token=OTHER, sock=sock, max_queue=1, ping_interval=None)
        fast = await subscribed(relay)
        sent = 0
        while not relay.counters.cut_subscribers:
            relay.hub.publish(Bucket.named("a").id, json.dumps({"body": f"{sent}" + "x" * 60_000}))
            (body,) = await bodies(fast, 1)
            assert body.startswith(f"{sent}x")
            sent += 1
            assert sent < 2000
        assert await closing(slow) == (1013, "too slow")
        await eventually(lambda: relay.subscribers == 1)
        await post(relay, "a", "still there")
        assert await bodies(fast, 1) == ["still there"]
        await fast.close()


async def test_a_subscriber_that_never_reads_does_not_hold_its_connection() -> None:
    limits = Limits(queue_frames=2, close=0.05)
    async with running(settings_of("a", limits=limits)) as relay:
        slow = await subscribed(relay, max_queue=1, ping_interval=None)
        for _ in range(3):
            relay.hub.publish(Bucket.named("a").id, json.dumps({"body": "x" * 10_000_000}))
        await eventually(lambda: relay.subscribers == 0)
        assert relay.counters.cut_subscribers == 1
        slow.transport.abort()


# What was missed


async def test_a_returning_subscriber_gets_what_it_missed() -> None:
    async with running(settings_of("a", "b")) as relay:
        client = await subscribed(relay, ["a"])
        await post(relay, "a", "1", "2")
        assert await bodies(client, 2) == ["1", "2"]
        await eventually(lambda: is_confirmed(relay.hub, 2))
        await client.close()
        await eventually(lambda: relay.subscribers == 0)
        await post(relay, "a", "3")
        await post(relay, "b", "not asked for")
        await post(relay, "a", "4")
        client = await subscribed(relay, ["a"])
        await post(relay, "a", "5")
        assert await bodies(client, 3) == ["3", "4", "5"]
        await client.close()


async def test_webhooks_before_the_first_subscriber_wait_for_it() -> None:
    async with running(settings_of("a")) as relay:
        await post(relay, "a", "1", "2")
        for token in (TOKEN, OTHER):
            client = await subscribed(relay, token=token)
            assert await bodies(client, 2) == ["1", "2"]
            await client.close()


async def test_a_client_that_answers_no_ping_is_not_believed_to_have_received_anything() -> None:
    async with running(settings_of("a")) as relay:
        frozen = await subscribed(relay)
        frozen.transport.pause_reading()
        await post(relay, "a", "1")
        await eventually(lambda: relay.counters.delivered == 1)
        back = await subscribed(relay)
        assert await bodies(back, 1) == ["1"]
        await back.close()
        frozen.transport.abort()


# Keepalive


async def test_the_relay_pings_in_json_and_needs_no_answer() -> None:
    async with running(settings_of("a", limits=Limits(json_ping=0.02))) as relay:
        client = await subscribed(relay)
        for _ in range(3):
            assert await heard(client) == {"type": "status", "status": "ping"}
        assert relay.subscribers == 1
        await client.close()


async def test_a_ping_of_the_client_is_answered() -> None:
    async with running(settings_of("a")) as relay:
        for client in (await opened(relay), await subscribed(relay)):
            async with asyncio.timeout(5):
                await (await client.ping(b"are you there"))
            await client.close()


async def test_a_silent_subscriber_is_asked_and_a_dead_one_found() -> None:
    limits = Limits(confirm=0.01, heartbeat=0.02, pong=0.2)
    async with running(settings_of("a", limits=limits)) as relay:
        alive, dead = await subscribed(relay), await subscribed(relay)
        dead.transport.pause_reading()
        await eventually(lambda: relay.subscribers == 1)
        await post(relay, "a", "1")
        assert await bodies(alive, 1) == ["1"]
        await alive.close()
        dead.transport.abort()


async def test_a_lost_connection_is_noticed_at_once() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        client.transport.abort()
        await eventually(lambda: relay.subscribers == 0)


def is_confirmed(hub: Any, position: int) -> bool:
    return all(one.confirmed >= position for some in hub._subscribers.values() for one in some)


async def test_a_client_that_acknowledges_gets_again_what_it_did_not() -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        await say(client, {"action": "auth", "key": TOKEN.key, "secret": TOKEN.secret.reveal()})
        await heard(client)
        await say(client, {"action": "subscribe", "ack": "explicit"})
        assert (await heard(client))["ack"] == "explicit"
        await post(relay, "a", "1", "2", "3")
        frames = [await heard(client) for _ in range(3)]
        await (await client.ping())  # it received them, as far as its WebSocket is concerned
        await say(client, {"action": "ack", "id": frames[1]["meta"]["id"]})
        await eventually(lambda: relay.hub.reached(Bucket.named("a").id) == 2)
        await client.close()
        await eventually(lambda: relay.subscribers == 0)
        again = await subscribed(relay)
        assert await bodies(again, 1) == ["3"]
        await again.close()


async def test_a_client_that_does_not_ask_is_told_nothing_of_acknowledgements() -> None:
    async with running(settings_of("a")) as relay:
        client = await opened(relay)
        await say(client, {"action": "auth", "key": TOKEN.key, "secret": TOKEN.secret.reveal()})
        await heard(client)
        await say(client, {"action": "subscribe"})
        assert set(await heard(client)) == {"type", "status", "message"}
        await post(relay, "a", "1")
        frame = await heard(client)
        await say(client, {"action": "ack", "id": frame["meta"]["id"]})  # means nothing, and does no harm
        await eventually(lambda: relay.hub.reached(Bucket.named("a").id) == 1)
        await client.close()
