"""Several relays on one NATS are one relay."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bridge.selfhosted.resources import ANY_OUTPUT, Bucket, Output
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.destination import Destination, running_destination
from tests.support.nats import NatsServer, on
from tests.support.relay_clients import (
    OTHER,
    TOKEN,
    bodies,
    heard,
    interface,
    opened,
    post,
    running,
    say,
    subscribed,
)
from tests.support.waiting import eventually, eventually_async

WAITING = Bucket.named("waiting")
WAITING = replace(WAITING, inputs=(replace(WAITING.inputs[0], response_from_output=ANY_OUTPUT, timeout=5.0),))


@pytest.fixture(name="nats")
async def _nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path) as server:
        yield server


@pytest.fixture(name="destination")
async def _destination() -> AsyncIterator[Destination]:
    async with running_destination() as found:
        yield found


@pytest.fixture(name="relays")
async def _relays(nats: NatsServer) -> AsyncIterator[list[SelfHostedRelay]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(on(nats, "a", "b", WAITING))) for _ in range(2)]


async def is_received(relay: SelfHostedRelay, count: int) -> None:
    """Wait until the log says that so many webhooks were received by somebody."""

    async def sent() -> bool:
        page = await logs(relay)
        return [one["status"] for one in page["data"]].count("sent") >= count

    await eventually_async(sent)


async def logs(relay: SelfHostedRelay, **query: str) -> dict[str, Any]:
    async with interface(relay) as http, http.get("/v1/logs", params=query) as answer:
        assert answer.status == 200
        page: dict[str, Any] = await answer.json()
        return page


async def acknowledging(relay: SelfHostedRelay, resume: str = "") -> ClientConnection:
    client = await opened(relay)
    await say(client, {"action": "auth", "key": TOKEN.key, "secret": TOKEN.secret.reveal()})
    await say(client, {"action": "subscribe", "buckets": ["a"], "ack": "explicit", "resume": resume})
    assert (await heard(client))["status"] == "authenticated"
    assert (await heard(client))["ack"] == "explicit"
    return client


async def acknowledge(client: ClientConnection, frame: dict[str, Any]) -> str:
    log_id: str = frame["meta"]["id"]
    await say(client, {"action": "ack", "id": log_id})
    return log_id


# Subscribers


async def test_a_webhook_reaches_the_subscribers_of_every_process(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    first, second = await subscribed(here, ["a"]), await subscribed(there, ["a"], OTHER)
    await post(here, "a", "1")
    await post(there, "a", "2")
    assert await bodies(first, 2) == await bodies(second, 2) == ["1", "2"]


async def test_a_new_token_gets_what_came_lately_and_nothing_of_other_buckets(
    relays: list[SelfHostedRelay],
) -> None:
    here, there = relays
    await post(here, "a", "1")
    await post(here, "b", "other")
    await post(there, "a", "2")
    assert await bodies(await subscribed(here, ["a"]), 2) == ["1", "2"]


async def test_who_comes_back_to_another_process_gets_what_it_did_not_confirm(
    relays: list[SelfHostedRelay],
) -> None:
    here, there = relays
    client = await acknowledging(here)
    await post(here, "a", "1", "2", "3")
    await acknowledge(client, await heard(client))
    second = await heard(client)
    await acknowledge(client, second)
    assert (await heard(client))["body"] == "3"
    await is_received(there, 2)
    await client.close()
    await post(here, "a", "4")
    again = await acknowledging(there, second["meta"]["id"])
    assert await bodies(again, 2) == ["3", "4"]


async def test_it_is_confirmed_by_answers_to_pings_too(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    client = await subscribed(here, ["a", "b"])
    await post(here, "a", "1")
    await post(there, "b", "2")
    assert sorted(await bodies(client, 2)) == ["1", "2"]
    await is_received(there, 2)
    await client.close()
    await post(there, "a", "3")
    assert await bodies(await subscribed(there, ["a", "b"]), 1) == ["3"]


async def test_a_lost_acknowledgement_is_made_up_for_by_what_the_client_says(
    relays: list[SelfHostedRelay],
) -> None:
    here, there = relays
    client = await acknowledging(here)
    await post(here, "a", "1", "2")
    last = [await heard(client) for _ in range(2)][-1]
    again = await acknowledging(there, last["meta"]["id"])
    await post(here, "a", "3")
    assert await bodies(again, 1) == ["3"]


async def test_each_connection_of_a_token_keeps_a_position_of_its_own(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    ahead, behind = await acknowledging(here), await acknowledging(there)
    await post(here, "a", "1", "2")
    for client, count in ((ahead, 2), (behind, 1)):
        frames = [await heard(client) for _ in range(2)]
        await acknowledge(client, frames[count - 1])
    await is_received(here, 2)
    await ahead.close()
    await behind.close()
    # Nobody can know which of the two comes back first: each gets what the one behind missed.
    for relay in (here, there):
        assert await bodies(await acknowledging(relay), 1) == ["2"]


async def test_bytes_that_are_not_text_come_whole_to_who_asks_for_them(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    async with aiohttp.ClientSession() as http, http.post(here.webhook_url("a"), data=b"\xff\x00") as answer:
        assert answer.status == 200
    exact = await subscribed(there, ["a"], wishes={"body_encoding": "base64"})
    plain = await subscribed(here, ["a"], OTHER)
    assert base64.b64decode((await heard(exact))["body"]) == b"\xff\x00"
    assert (await heard(plain))["body"] == "�\x00"


# Groups


async def test_a_group_shares_its_webhooks_over_all_processes(relays: list[SelfHostedRelay]) -> None:
    members = [await subscribed(one, ["a"], wishes={"group": "g"}) for one in (*relays, *relays)]
    sent = [str(number) for number in range(40)]
    seen: list[list[str]] = [[] for _ in members]

    async def read(client: ClientConnection, into: list[str]) -> None:
        while True:
            into.append((await heard(client))["body"])

    readers = [asyncio.create_task(read(one, into)) for one, into in zip(members, seen, strict=True)]
    await post(relays[0], "a", *sent)
    await eventually(lambda: sum(map(len, seen)) >= len(sent))
    for one in readers:
        one.cancel()
    await asyncio.wait(readers)
    assert sorted(chain.from_iterable(seen)) == sorted(sent)
    assert all(seen)


async def test_what_a_member_did_not_confirm_goes_to_another_when_it_leaves(
    relays: list[SelfHostedRelay],
) -> None:
    here, there = relays
    wishes = {"group": "g", "ack": "explicit"}
    first = await subscribed(here, ["a"], wishes=wishes)
    await post(here, "a", "1", "2", "3")
    await acknowledge(first, await heard(first))
    assert await bodies(first, 2) == ["2", "3"]
    second = await subscribed(there, ["a"], wishes=wishes)
    await is_received(there, 1)
    await first.close()
    assert sorted(await bodies(second, 2)) == ["2", "3"]


# Senders


async def test_an_answer_reaches_its_sender_at_another_process(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    client = await subscribed(there, ["waiting"])
    async with aiohttp.ClientSession() as http, interface(there) as api:
        sending = asyncio.create_task(_text(http, here.webhook_url("waiting")))
        log_id = (await heard(client))["meta"]["id"]
        said = {"status_code": 201, "response_body": base64.b64encode(b"from the shed").decode()}
        async with api.put(f"/v1/logs/{log_id}", json=said) as answer:
            assert answer.status == 200
        assert await sending == (201, "from the shed")
        # Nobody waits any more; the log has it.
        async with api.put(f"/v1/logs/{log_id}", json={"status_code": 500}) as answer:
            assert answer.status == 200
        async with api.put("/v1/logs/unknown", json={"status_code": 500}) as answer:
            assert answer.status == 404


async def _text(http: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with http.post(url, data=b"?") as answer:
        return answer.status, await answer.text()


async def test_a_body_that_nats_can_not_take_is_refused(relays: list[SelfHostedRelay]) -> None:
    async with aiohttp.ClientSession() as http:
        async with http.post(relays[0].webhook_url("a"), data=b"x" * 600 * 1024) as answer:
            assert answer.status == 200
        async with http.post(relays[0].webhook_url("a"), data=b"x" * 700 * 1024) as answer:
            assert answer.status == 413


async def test_a_public_output_is_called_once_and_its_answer_reaches_the_sender(
    nats: NatsServer, destination: Destination
) -> None:
    output = Output("shop", destination.url, internal=False)
    settings = on(nats, "a", replace(WAITING, outputs=(output,)))
    destination.answer = lambda _count: web.Response(status=202, text="thanks")
    async with running(settings) as here, running(settings), aiohttp.ClientSession() as http:
        for _ in range(6):
            assert await _text(http, here.webhook_url("waiting")) == (202, "thanks")
        await is_received(here, 6)
    assert len(destination.calls) == 6


async def test_another_process_makes_the_calls_that_one_left_undone(
    nats: NatsServer, destination: Destination
) -> None:
    settings = on(nats, Bucket.named("a", outputs=[Output("shop", destination.url, internal=False)]))
    destination.delay = 60.0
    async with running(settings) as here:
        await post(here, "a", "1")
        await eventually(lambda: destination.calls)
    destination.delay = 0.0
    async with running(settings) as there:
        await is_received(there, 1)
    assert [body for *_, body in destination.calls] == [b"1", b"1"]


# The log


async def test_the_log_is_one(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    await post(here, "a", "1")
    await post(there, "b", "2")
    await post(there, "a", "3")
    assert [one["body"] for one in (await logs(here))["data"]] == ["1", "2", "3"]
    page = await logs(there, bucket="a", limit="1")
    assert [one["body"] for one in page["data"]] == ["1"]
    assert page["has_more"]
    page = await logs(here, bucket="a", cursor=page["next_cursor"])
    assert [one["body"] for one in page["data"]] == ["3"]
    assert not page["has_more"]
    assert datetime.fromisoformat(page["complete_since"]) < datetime.now(UTC)


async def test_an_entry_is_found_answered_and_sent_again_anywhere(relays: list[SelfHostedRelay]) -> None:
    here, there = relays
    await post(here, "a", "1")
    (entry,) = (await logs(here))["data"]
    assert entry["status"] == "received"
    async with interface(there) as http:
        async with http.put(f"/v1/logs/{entry['id']}", json={"status_code": 500}) as answer:
            assert answer.status == 200
        async with http.post(f"/v1/logs/{entry['id']}/action", json={"action": "resend"}) as answer:
            again = await answer.json()
    assert again["id"] != entry["id"]

    async def statuses() -> bool:
        page = await logs(here)
        return [(one["id"], one["status"]) for one in page["data"]] == [
            (entry["id"], "failed"),
            (again["id"], "received"),
        ]

    await eventually_async(statuses)
    assert await bodies(await subscribed(here, ["a"]), 2) == ["1", "1"]


# NATS itself


async def test_when_nats_is_away_senders_are_told_and_nothing_is_lost(nats: NatsServer) -> None:
    async with running(on(nats, "a")) as relay:
        client = await acknowledging(relay)
        await post(relay, "a", "1", "2")
        await acknowledge(client, await heard(client))
        await is_received(relay, 1)
        await nats.stop()
        assert await heard(client)  # the second webhook
        with pytest.raises(ConnectionClosed):
            await heard(client)
        assert client.close_code == 1013
        async with aiohttp.ClientSession() as http, http.post(relay.webhook_url("a"), data=b"x") as answer:
            assert answer.status == 503
        await nats.start()

        async def takes() -> bool:
            async with (
                aiohttp.ClientSession() as http,
                http.post(relay.webhook_url("a"), data=b"3") as answer,
            ):
                return answer.status == 200

        await eventually_async(takes, 20)
        assert await bodies(await acknowledging(relay), 2) == ["2", "3"]
