"""The relay's REST interface, at a relay with and without a disk."""

import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.secret import Secret
from bridge.selfhosted.resources import Bucket, Limits, Output, Settings, Token
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import TOKEN, bodies, post, running, settings_of, subscribed
from tests.support.waiting import eventually

BASIC = "Basic " + base64.b64encode(f"{TOKEN.key}:{TOKEN.secret.reveal()}".encode()).decode()


def settings(tmp_path: Path | None, *buckets: Bucket | str, limits: Limits | None = None) -> Settings:
    return replace(settings_of(*(buckets or ("a", "b")), limits=limits), state=tmp_path)


@pytest.fixture(name="state", params=["memory", "disk"])
def _state(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path if request.param == "disk" else None


@asynccontextmanager
async def asking(relay: SelfHostedRelay) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(relay.url, headers={"Authorization": BASIC}) as session:
        yield session


async def page(session: aiohttp.ClientSession, **query: str | int) -> dict[str, Any]:
    async with session.get("/v1/logs", params=query) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


def texts(found: dict[str, Any]) -> list[str]:
    return [one["body"] for one in found["data"]]


async def test_an_entry_says_all_that_is_known_of_a_request(state: Path | None) -> None:
    bucket = Bucket.named("a", outputs=[Output("nodered", "http://localhost:1880/x")])
    before = time.time()
    async with running(settings(state, bucket)) as relay, asking(relay) as session:
        url = relay.webhook_url("a") + "/sub/path?q=1"
        headers = {"X-Thing": "1", "Content-Type": "text/plain"}
        async with session.put(url.removeprefix(relay.url), data=b"hello \xff", headers=headers) as answer:
            assert answer.status == 200
        (entry,) = (await page(session))["data"]
        async with session.get(f"/v1/logs/{entry['id']}") as answer:
            assert await answer.json() == entry
    created = datetime.fromisoformat(entry.pop("created_at")).timestamp()
    assert before - 0.001 <= created <= time.time()
    assert entry.pop("headers")["X-Thing"] == ["1"]
    assert len(entry.pop("id")) == 36
    assert entry.pop("output_id")
    assert entry == {
        "bucket_id": bucket.id,
        "bucket_name": "a",
        "input_id": bucket.inputs[0].id,
        "input_name": "Default public endpoint",
        "output_name": "nodered",
        "output_destination": "http://localhost:1880/x/sub/path",
        "internal": True,
        "status": "received",
        "method": "PUT",
        "extra_path": "/sub/path",
        "raw_query": "q=1",
        "body": "hello \ufffd",
        "ip_address": "127.0.0.1",
        "retries": 0,
        "status_code": 0,
        "duration_ms": 0,
    }


async def test_pages_follow_each_other_oldest_first(state: Path | None) -> None:
    async with running(settings(state)) as relay, asking(relay) as session:
        await post(relay, "a", *(str(n) for n in range(7)))
        await post(relay, "b", "elsewhere")
        found: list[str] = []
        query: dict[str, str | int] = {"bucket": "a", "limit": 3}
        for more in (True, True, False):
            answer = await page(session, **query)
            found += texts(answer)
            assert answer["has_more"] is more
            query["cursor"] = answer["next_cursor"] or ""
        assert found == [str(n) for n in range(7)]
        assert texts(await page(session, bucket=Bucket.named("b").id)) == ["elsewhere"]
        assert len(texts(await page(session))) == 8


async def test_filters_by_time(state: Path | None) -> None:
    async with running(settings(state)) as relay, asking(relay) as session:
        await post(relay, "a", "1", "2", "3")
        times = [one["created_at"] for one in (await page(session))["data"]]
        assert texts(await page(session, **{"from": times[1]})) == ["2", "3"]
        assert texts(await page(session, to=times[1])) == ["1", "2"]
        assert texts(await page(session, **{"from": int(time.time()) + 5})) == []
        assert len(texts(await page(session, **{"from": "2020-01-01T00:00:00Z", "to": "4000000000"}))) == 3


async def test_the_status_says_whether_a_subscriber_received_it(state: Path | None) -> None:
    async with running(settings(state)) as relay, asking(relay) as session:
        client = await subscribed(relay, ["a"])
        await post(relay, "a", "1")
        assert await bodies(client, 1) == ["1"]
        await eventually(lambda: relay.hub.reached(Bucket.named("a").id) == 1)
        await client.close()
        await eventually(lambda: relay.subscribers == 0)
        await post(relay, "a", "2")
        assert texts(await page(session, status="sent")) == ["1"]
        assert texts(await page(session, status="received")) == ["2"]
        assert texts(await page(session, status="failed")) == []


@pytest.mark.parametrize(
    "query",
    ["from=yesterday", "to=1e400x", "limit=many", "cursor=-1", "status=odd", "bucket=unknown", "from=²"],
)
async def test_a_query_that_is_not_understood(query: str) -> None:
    async with (
        running(settings(None)) as relay,
        asking(relay) as session,
        session.get(f"/v1/logs?{query}") as answer,
    ):
        assert answer.status == 400
        assert query.partition("=")[0] in (await answer.json())["error"]


async def test_who_is_let_in() -> None:
    api_key = Token("whr", Secret("sk-1"))
    wanted = replace(settings(None), tokens=(TOKEN, api_key))
    async with running(wanted) as relay, aiohttp.ClientSession(relay.url) as session:
        for path in ("/v1/logs", "/v1/logs/x", "/v1/buckets"):
            for header in (
                "",
                "Basic",
                "Basic !",
                "Bearer nobody",
                f"Bearer {TOKEN.secret.reveal()}",
                "Odd x",
            ):
                async with session.get(path, headers={"Authorization": header}) as answer:
                    assert answer.status == 401
                    assert "WWW-Authenticate" in answer.headers
            for header in (BASIC, "bearer sk-1"):
                async with session.get(path, headers={"Authorization": header}) as answer:
                    assert answer.status == (404 if path.endswith("x") else 200)
        assert relay.counters.refused == 18


async def test_buckets_with_their_inputs_and_outputs() -> None:
    bucket = Bucket.named("a", outputs=[Output("x", "http://x"), Output("y", "https://y", internal=False)])
    async with (
        running(settings(None, bucket, "b")) as relay,
        asking(relay) as session,
        session.get("/v1/buckets") as answer,
    ):
        first, second = await answer.json()
    assert (first["id"], first["name"]) == (bucket.id, "a")
    assert first["inputs"][0]["id"] == bucket.inputs[0].id
    assert [(one["name"], one["internal"]) for one in first["outputs"]] == [("x", True), ("y", False)]
    assert (second["name"], second["outputs"]) == ("b", [])


async def test_it_says_since_when_it_is_complete(state: Path | None) -> None:
    before = time.time()
    limits = Limits(history_frames=2, log_bytes=1100)
    async with running(settings(state, limits=limits)) as relay, asking(relay) as session:
        since = datetime.fromisoformat((await page(session))["complete_since"]).timestamp()
        assert before - 0.001 <= since <= time.time()
        await post(relay, "a", *(str(n) for n in range(9)))
        answer = await page(session)
        gone = 9 - len(texts(answer))
        assert gone >= 7
        since = datetime.fromisoformat(answer["complete_since"]).timestamp()
        oldest = datetime.fromisoformat(answer["data"][0]["created_at"]).timestamp()
        assert before < since < oldest


async def test_a_restarted_relay_remembers(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as relay:
        port = relay.port
        first = await subscribed(relay, ["a"])
        await post(relay, "a", "1")
        assert await bodies(first, 1) == ["1"]
        await eventually(lambda: relay.hub.reached(Bucket.named("a").id) == 1)
        await first.close()
        await eventually(lambda: relay.subscribers == 0)
        await post(relay, "a", "2")
    async with running(settings(tmp_path), port=port) as relay, asking(relay) as session:
        await post(relay, "a", "3")
        assert texts(await page(session, bucket="a")) == ["1", "2", "3"]
        client = await subscribed(relay, ["a"])
        assert await bodies(client, 2) == ["2", "3"]
        await client.close()
