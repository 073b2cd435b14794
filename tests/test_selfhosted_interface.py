"""The HTTP interface: buckets, tokens, connected clients, events and resending, as real clients use them."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.exceptions import ConnectionClosed

from bridge.secret import Secret
from bridge.selfhosted import hashes
from bridge.selfhosted.resources import Bucket, Output, Token
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import (
    TOKEN,
    bodies,
    heard,
    interface,
    opened,
    post,
    running,
    say,
    settings_of,
    subscribed,
)
from tests.support.waiting import eventually

LOCAL = Bucket.named(
    "local", outputs=[Output("one", "http://localhost/"), Output("two", "http://localhost/")]
)


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "COST", 4)


@pytest.fixture(name="relay", params=["memory", "disk"])
async def _relay(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SelfHostedRelay]:
    state = tmp_path if request.param == "disk" else None
    async with running(replace(settings_of("a", "b", LOCAL), state=state)) as relay:
        yield relay


async def ask(
    relay: SelfHostedRelay,
    method: str,
    path: str,
    said: object = None,
    token: Token = TOKEN,
    expect: int = 200,
) -> Any:
    async with interface(relay, token) as http, http.request(method, path, json=said) as answer:
        assert answer.status == expect, await answer.text()
        assert answer.content_type == "application/json"
        return await answer.json()


async def test_a_bucket_is_made_and_works_at_once(relay: SelfHostedRelay) -> None:
    everything = await subscribed(relay)
    said = {"name": "new", "description": "", "auth": {"type": "none"}}
    made = await ask(relay, "POST", "/v1/buckets", said, expect=201)
    with pytest.raises(ConnectionClosed) as ended:
        await everything.recv()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 1012

    client = await subscribed(relay, ["new"])
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{relay.url}/v1/webhooks/{made['inputs'][0]['id']}", data=b"x"),
    ):
        assert (await heard(client))["meta"]["bucked_id"] == made["id"]
    await client.close()
    assert abs(made["created_at"] - time.time()) < 60
    assert await ask(relay, "GET", f"/v1/buckets/{made['id']}") == made
    assert made in await ask(relay, "GET", "/v1/buckets")
    await ask(relay, "DELETE", "/v1/buckets/new")
    await ask(relay, "GET", "/v1/buckets/new", expect=404)


async def test_inputs_and_outputs_are_put_and_removed(relay: SelfHostedRelay) -> None:
    bucket = await ask(relay, "POST", "/v1/buckets", {"name": "new"}, expect=201)
    base = f"/v1/buckets/{bucket['id']}"
    output = await ask(
        relay,
        "POST",
        f"{base}/outputs",
        {"name": "o", "destination": "http://h", "headers": {"A": "b"}},
        expect=201,
    )
    assert (output["headers"], output["internal"]) == ({"A": ["b"]}, True)
    said = {"id": "", "name": "i", "status_code": 201, "response_from_output": "", "created_at": -62135596800}
    entry = await ask(relay, "POST", f"{base}/inputs", said, expect=201)
    entry = await ask(relay, "PUT", f"{base}/inputs/{entry['id']}", {**entry, "body": "thanks"})
    async with aiohttp.ClientSession() as http, http.post(f"{relay.url}/v1/webhooks/{entry['id']}") as answer:
        assert (answer.status, await answer.text()) == (201, "thanks")
    assert len(await ask(relay, "GET", f"{base}/inputs")) == 2
    await ask(relay, "DELETE", f"{base}/outputs/{output['id']}")
    await ask(relay, "DELETE", f"{base}/inputs/i")
    shown = await ask(relay, "GET", base)
    assert ([one["name"] for one in shown["inputs"]], shown["outputs"]) == (["Default public endpoint"], [])


@pytest.mark.parametrize(
    ("method", "path", "said", "status", "error"),
    [
        ("POST", "/v1/buckets", [], 400, "a JSON object is needed"),
        ("POST", "/v1/buckets", {"name": 5}, 400, "name: text is needed"),
        ("POST", "/v1/buckets", {"name": "a"}, 409, "a bucket has this name or ID already"),
        ("PUT", "/v1/buckets/a", {}, 409, "this bucket is declared in the relay's file"),
        ("DELETE", "/v1/buckets/nobody", None, 404, "no such bucket"),
        ("PATCH", "/v1/buckets/a", None, 405, "method not allowed"),
        ("GET", "/v1/nothing", None, 404, "not found"),
        ("DELETE", "/v1/tokens/nobody", None, 404, "no such token"),
        ("GET", "/v1/events", None, 400, "bucket or cursor is needed"),
        ("GET", "/v1/logs?limit=x", None, 400, "limit: a number is needed"),
        ("POST", "/v1/logs/x/action", {"action": "delete"}, 400, "action: resend is needed"),
        ("POST", "/v1/logs/x/action", {"action": "resend"}, 404, "no such log entry"),
    ],
)
async def test_mistakes(method: str, path: str, said: object, status: int, error: str) -> None:
    async with running(settings_of("a")) as relay:
        assert await ask(relay, method, path, said, expect=status) == {"error": error}


async def test_what_is_too_large() -> None:
    async with running(settings_of("a")) as relay:
        said = {"description": "x" * 300_000}
        assert await ask(relay, "POST", "/v1/buckets", said, expect=413) == {"error": "too large"}


async def test_a_browser_s_credentials_are_of_no_use_to_another_site_s_page(relay: SelfHostedRelay) -> None:
    async with interface(relay) as http:
        for origin, status in ((relay.url, 200), ("https://elsewhere.example", 403), ("null", 403)):
            async with http.get("/v1/buckets", headers={"Origin": origin}) as answer:
                assert answer.status == status
        async with http.post("/v1/buckets", json={"name": "x"}, headers={"Origin": "null"}) as answer:
            assert answer.status == 403
    assert "x" not in {bucket["name"] for bucket in await ask(relay, "GET", "/v1/buckets")}


async def test_a_token_opens_the_socket_and_the_interface_until_it_is_removed(relay: SelfHostedRelay) -> None:
    made = await ask(relay, "POST", "/v1/tokens", {"description": "pi 2"}, expect=201)
    token = Token(made["key"], Secret(made["secret"]))
    client = await subscribed(relay, ["a"], token)
    shown = await ask(relay, "GET", "/v1/tokens", token=token)
    assert [one["id"] for one in shown] == ["pi", "node-red", made["key"]]
    assert made["secret"] not in str(shown)
    await ask(relay, "DELETE", f"/v1/tokens/{made['key']}")
    with pytest.raises(ConnectionClosed):
        await client.recv()
    await ask(relay, "GET", "/v1/tokens", token=token, expect=401)


async def test_a_token_that_is_confined_sees_its_buckets_only(relay: SelfHostedRelay) -> None:
    said = {"scopes": {"buckets": ["a"], "tunnels": []}}
    made = await ask(relay, "POST", "/v1/tokens", said, expect=201)
    token = Token(made["key"], Secret(made["secret"]))
    await post(relay, "a", "1")
    await post(relay, "b", "2")
    client = await subscribed(relay, None, token)
    assert await bodies(client, 1) == ["1"]
    assert [one["name"] for one in await ask(relay, "GET", "/v1/buckets", token=token)] == ["a"]
    assert [one["body"] for one in (await ask(relay, "GET", "/v1/logs", token=token))["data"]] == ["1"]
    every = (await ask(relay, "GET", "/v1/logs"))["data"]
    await ask(relay, "GET", f"/v1/logs/{every[1]['id']}", token=token, expect=404)
    await ask(relay, "GET", "/v1/buckets/b", token=token, expect=404)
    await ask(relay, "POST", "/v1/buckets", {}, token=token, expect=403)
    await ask(relay, "GET", "/v1/tokens", token=token, expect=403)
    await client.close()


async def test_a_token_without_access_to_the_interface_subscribes_all_the_same(
    relay: SelfHostedRelay,
) -> None:
    made = await ask(relay, "POST", "/v1/tokens", {"api_access": "disabled"}, expect=201)
    token = Token(made["key"], Secret(made["secret"]))
    await ask(relay, "GET", "/v1/logs", token=token, expect=403)
    await (await subscribed(relay, ["a"], token)).close()


async def test_connected_clients(relay: SelfHostedRelay) -> None:
    client = await subscribed(relay, ["a", "b"], wishes={"group": "g"}, user_agent_header="bridge/1")
    (shown,) = await ask(relay, "GET", "/v1/connected-clients")
    assert abs(shown.pop("subscribed_at") - time.time()) < 60
    assert shown == {
        "key": "pi",
        "client_ip": "127.0.0.1",
        "client_version": "bridge/1",
        "buckets": ["a", "b"],
        "group": "g",
        "acknowledges": False,
    }
    await client.close()
    await eventually(lambda: relay.subscribers == 0)
    assert await ask(relay, "GET", "/v1/connected-clients") == []


async def test_events_are_handed_out_once(relay: SelfHostedRelay) -> None:
    await post(relay, "local", "1", "2")
    first = await ask(relay, "GET", "/v1/events?bucket=local&output=one&limit=3")
    assert [one["body"] for one in first["logs"]] == ["1", "2"]
    assert first["has_more"] is True
    again = await ask(relay, "GET", "/v1/events?bucket=local&output=one")
    assert (again["logs"], again["has_more"]) == ([], False)
    other = await ask(relay, "GET", "/v1/events?bucket=local&output=two&max_age=60")
    assert [one["body"] for one in other["logs"]] == ["1", "2"]
    by_cursor = await ask(relay, "GET", "/v1/events?cursor=2")
    assert [one["body"] for one in by_cursor["logs"]] == ["2", "2"]
    log = await ask(relay, "GET", "/v1/logs")
    assert {one["status"] for one in log["data"]} == {"sent"}


async def test_a_webhook_is_sent_again_with_an_id_of_its_own(relay: SelfHostedRelay) -> None:
    client = await subscribed(relay, ["a"], wishes={"body_encoding": "base64"})
    async with aiohttp.ClientSession() as http, http.post(relay.webhook_url("a") + "/sub?q=1", data=b"\xff"):
        pass
    first = await heard(client)
    path = f"/v1/logs/{first['meta']['id']}"
    entry = await ask(relay, "POST", f"{path}/action", {"action": "resend"})
    second = await heard(client)
    assert second["meta"].pop("id") == entry["id"] != first["meta"].pop("id")
    assert second == first
    shown = (await ask(relay, "GET", "/v1/logs?body_encoding=base64"))["data"]
    assert [(one["body"], one["body_encoding"], one["extra_path"]) for one in shown] == [
        ("/w==", "base64", "/sub")
    ] * 2
    assert (await ask(relay, "GET", path))["body"] == "\ufffd"
    await client.close()


async def test_what_a_subscriber_reports_is_in_the_log(relay: SelfHostedRelay) -> None:
    await post(relay, "a", "1", "2")
    ids = [one["id"] for one in (await ask(relay, "GET", "/v1/logs"))["data"]]
    for log_id, status in zip(ids, (201, 502), strict=True):
        await ask(relay, "PUT", f"/v1/logs/{log_id}", {"status_code": status})
    shown = (await ask(relay, "GET", "/v1/logs"))["data"]
    assert [(one["status"], one["status_code"]) for one in shown] == [("sent", 201), ("failed", 502)]


async def test_a_bearer_token_where_there_are_made_tokens_too(relay: SelfHostedRelay) -> None:
    await ask(relay, "POST", "/v1/tokens", {}, expect=201)
    async with aiohttp.ClientSession(relay.url) as http:
        for value in ("Bearer wrong", "Bearer", "Basic !", "Digest x", ""):
            async with http.get("/v1/buckets", headers={"Authorization": value}) as answer:
                assert answer.status == 401
                assert "Bearer" in answer.headers["WWW-Authenticate"]


async def test_a_client_that_says_every_field_is_understood(relay: SelfHostedRelay) -> None:
    """As relay-go does: fields that don't belong to an action are there, empty or null."""
    client = await opened(relay)
    await say(client, {"action": "auth", "key": TOKEN.key, "secret": TOKEN.secret.reveal(), "buckets": None})
    assert (await heard(client))["status"] == "authenticated"
    await say(client, {"action": "subscribe", "key": "", "secret": "", "buckets": [""], "more": {"a": 1}})
    assert (await heard(client))["status"] == "subscribed"
    await say(client, {"action": "pong", "key": "", "secret": "", "buckets": None})
    await post(relay, "b", "x")
    assert await bodies(client, 1) == ["x"]
    await client.close()
