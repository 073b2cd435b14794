"""What inputs ask of a sender, how often it may come, where they are, and what they answer."""

import asyncio
import base64

import aiohttp
import pytest

from bridge.relay.client import RelayClient
from bridge.secret import Secret
from bridge.selfhosted.resources import Auth, Bucket, Input, Rate
from tests.support.relay_clients import TOKEN, bodies, heard, post, running, settings_of, subscribed


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("auth", "good", "bad"),
    [
        (
            Auth("user", Secret("p:ä")),
            basic("user:p:ä"),
            [
                {},
                basic("user:x"),
                basic("user"),
                {"Authorization": "Basic !"},
                {"Authorization": "Bearer p:ä"},
            ],
        ),
        (
            Auth(None, Secret("t0ken")),
            {"Authorization": "bearer t0ken"},
            [{}, basic("user:t0ken"), {"Authorization": "Bearer t0ke"}, {"Authorization": "Bearer"}],
        ),
    ],
)
async def test_a_bucket_with_authentication(
    auth: Auth, good: dict[str, str], bad: list[dict[str, str]]
) -> None:
    bucket = Bucket("a", "a-id", (Input("i", "in-1", status=202),), auth=auth)
    async with running(settings_of(bucket)) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        for headers in bad:
            async with http.post(relay.webhook_url("a"), data=b"bad", headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"].endswith('realm="webhooks"')
        async with http.post(relay.webhook_url("a"), data=b"good", headers=good) as answer:
            assert answer.status == 202
        assert await bodies(client, 1) == ["good"]
        assert relay.counters.denied == len(bad)
        await client.close()


async def test_an_input_with_a_rate() -> None:
    limited = Bucket("a", "a-id", (Input("i", "in-1", rate=Rate(2, 60.0)), Input("j", "in-2")))
    async with running(settings_of(limited)) as relay, aiohttp.ClientSession() as http:
        statuses = []
        for _ in range(3):
            async with http.post(relay.webhook_url("a")) as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 429]
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
        async with http.post(f"{relay.url}/v1/webhooks/in-2") as answer:
            assert answer.status == 200


async def test_a_path_and_a_host_of_its_own() -> None:
    bucket = Bucket(
        "a", "a-id", (Input("i", "in-1", path="/github"), Input("j", "in-2", host="hooks.example.org"))
    )
    async with running(settings_of(bucket)) as relay, aiohttp.ClientSession() as http:
        client = await subscribed(relay)
        for path, host, found in (
            ("/github/sub?q=1", "x", ("i", "/sub", "q=1")),
            ("/any/thing", "hooks.example.org", ("j", "/any/thing", "")),
        ):
            async with http.post(relay.url + path, headers={"Host": host}) as answer:
                assert answer.status == 200
            frame = await heard(client)
            meta = frame["meta"]
            assert (meta["input_name"], meta["output_destination"], frame["query"]) == found
        await client.close()


async def test_a_path_that_nobody_has_answers_like_one_that_somebody_has() -> None:
    bucket = Bucket("a", "a-id", (Input("i", "in-1", path="/github"),))
    async with running(settings_of(bucket)) as relay, aiohttp.ClientSession() as http:
        seen = []
        for path in ("/github", "/gitlab", "/", "/v1/webhooks/in-1", "/v1/webhooks/in-9"):
            async with http.post(relay.url + path, data=b"x") as answer:
                seen.append((answer.status, await answer.read(), set(answer.headers)))
        assert len({str(one) for one in seen}) == 1
        async with http.post(relay.url + "/v1/nothing") as answer:
            assert (answer.status, await answer.json()) == (404, {"error": "not found"})


async def test_a_templated_answer() -> None:
    headers = (("Content-Type", "application/json"),)
    entry = Input("i", "in-1", body='{"challenge": "{{ body.challenge }}"}', headers=headers, template=True)
    async with (
        running(settings_of(Bucket("a", "a-id", (entry,)))) as relay,
        aiohttp.ClientSession() as http,
        http.post(relay.webhook_url("a"), json={"challenge": 'x"y'}) as answer,
    ):
        assert await answer.json() == {"challenge": 'x"y'}


async def test_a_body_that_is_not_utf_8_reaches_who_asks_for_it() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        exact = await subscribed(relay, wishes={"body_encoding": "base64"})
        plain = await subscribed(relay)
        async with http.post(relay.webhook_url("a"), data=b"caf\xe9\x00"):
            pass
        await post(relay, "a", "café")
        frame = await heard(exact)
        assert frame["body_encoding"] == "base64"
        assert base64.b64decode(frame["body"]) == b"caf\xe9\x00"
        damaged = await heard(plain)
        assert damaged["body"] == "caf\ufffd\x00"
        assert "body_encoding" not in damaged
        assert frame["meta"] == damaged["meta"]
        for client in (exact, plain):
            frame = await heard(client)
            assert frame["body"] == "café"
            assert "body_encoding" not in frame
            await client.close()


async def test_the_bridge_itself_gets_every_byte() -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        secret = TOKEN.secret.reveal()
        async with RelayClient(
            key=TOKEN.key, secret=secret, buckets=["a"], url=relay.socket_url, ack=True
        ) as client:
            webhook = asyncio.create_task(anext(client))
            await client.subscribed()
            async with http.post(relay.webhook_url("a"), data=bytes(range(256))):
                pass
            assert (await webhook).raw == bytes(range(256))
