"""Subscribers' answers, in every form that the service's clients use, and the senders that wait for them."""

import asyncio
import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.answers import Answer, BadAnswer, parse_answer
from bridge.selfhosted.nodes import SettingsError
from bridge.selfhosted.resources import ANY_OUTPUT, Bucket, Input, Limits, Output, output_id
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.settings import parse_settings
from tests.support.relay_clients import TOKEN, heard, running, settings_of, subscribed
from tests.support.waiting import eventually

OUTPUTS = [
    Output("one", "http://h/1"),
    Output("two", "http://h/2"),
    Output("out", "http://h/3", internal=False),
]


def basic(key: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


def asking(output: str = ANY_OUTPUT, timeout: float = 5.0, outputs: list[Output] | None = None) -> Bucket:
    """A bucket whose input waits, and answers 503 where nobody does."""
    bucket = Bucket.named("a", outputs=outputs or [])
    static: dict[str, Any] = {"status": 503, "body": "static", "timeout": timeout}
    return replace(bucket, inputs=(replace(bucket.inputs[0], response_from_output=output, **static),))


def put_of(log_id: str, body: bytes = b"hi", **fields: Any) -> dict[str, Any]:
    """As the service documents it."""
    return {
        "id": log_id,
        "bucket_id": "b",
        "status_code": 201,
        "response_body": base64.b64encode(body).decode(),
        "response_headers": {"Content-Type": ["text/x"]},
        "status": "sent",
        **fields,
    }


async def put(relay: SelfHostedRelay, log_id: str, said: Any, **options: Any) -> tuple[int, dict[str, Any]]:
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    options = {"headers": basic(TOKEN.key, TOKEN.secret.reveal()), **options}
    async with (
        aiohttp.ClientSession() as session,
        session.put(
            f"{relay.url}/v1/logs/{log_id}", data=BytesIO(data), skip_auto_headers=["Content-Type"], **options
        ) as answer,
    ):
        return answer.status, await answer.json()


async def send(relay: SelfHostedRelay, method: str = "POST") -> tuple[int, bytes, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.request(method, relay.webhook_url("a")) as answer:
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status, await answer.read(), headers


# The forms


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, Answer(201, (("Content-Type", "text/x"),), b"hi")),
        (
            {"response_headers": {"A": "b", "C": ["d", "e"]}},
            Answer(201, (("A", "b"), ("C", "d"), ("C", "e")), b"hi"),
        ),
        ({"response_headers": None, "response_body": None}, Answer(201, (), b"")),
        (
            {"response_headers": {"A": None, "B": 5, "": "x", "a b": "c", "D": "x\r\ny"}},
            Answer(201, (), b"hi"),
        ),
        (
            {
                "response_headers": {
                    "Connection": "close",
                    "transfer-encoding": ["chunked"],
                    "Content-Length": "9",
                }
            },
            Answer(201, (), b"hi"),
        ),
        ({"status_code": 204, "response_headers": {}}, Answer(204, (), b"")),
        ({"status_code": None, "response_headers": {}}, Answer(200, (), b"hi")),
        ({"status_code": 0, "status": "failed", "response_headers": {}}, Answer(502, (), b"hi")),
        ({"status_code": 101, "response_headers": {}}, Answer(502, (), b"hi")),
        ({"status_code": 500, "status": "failed", "response_headers": {}}, Answer(500, (), b"hi")),
    ],
)
def test_forms(change: dict[str, Any], expected: Answer) -> None:
    assert parse_answer(json.dumps(put_of("x", **change)).encode()) == expected


def test_what_is_left_out_has_a_default() -> None:
    assert parse_answer(b"{}") == Answer(200, (), b"")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"\xff",
        b'{"status_code": "200"}',
        b'{"status_code": true}',
        b'{"response_body": "?"}',
        b'{"response_body": {}}',
        b'{"response_body": "\xc3\xbc"}',
        b'{"response_headers": []}',
    ],
)
def test_what_is_no_answer(said: bytes) -> None:
    with pytest.raises(BadAnswer):
        parse_answer(said)


TEXTS = st.text() | st.none() | st.integers() | st.lists(st.text() | st.none(), max_size=3)


@given(st.dictionaries(st.sampled_from(["A", "content-length", "x:y"]) | st.text(), TEXTS))
def test_whatever_headers_a_subscriber_gives_the_rest_can_be_sent(headers: dict[str, Any]) -> None:
    said = json.dumps({"response_headers": headers}).encode()
    for name, value in parse_answer(said).headers:
        assert re.fullmatch(r"[!-9;-~]+", name)
        assert not set(value) & set("\r\n\0")
        assert name.lower() != "content-length"


def test_headers_are_bounded() -> None:
    many = {f"X-{number}": "y" for number in range(500)}
    assert len(parse_answer(json.dumps({"response_headers": many}).encode()).headers) == 100
    long = {"X-A": "y" * 20_000, "X-B": "y" * 20_000, "X-C": "y"}
    assert [name for name, _ in parse_answer(json.dumps({"response_headers": long}).encode()).headers] == [
        "X-A"
    ]


# The round trip


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
async def test_the_sender_has_the_subscriber_s_answer(scheme: str) -> None:
    settings = settings_of(asking())
    if scheme == "bearer":
        settings = replace(settings, tokens=(replace(TOKEN, key="whr"),))
        token, options = settings.tokens[0], {"headers": {"Authorization": "Bearer s3cr3t"}}
    else:
        token, options = TOKEN, {}
    async with running(settings) as relay:
        client = await subscribed(relay, token=token)
        sending = asyncio.create_task(send(relay))
        log_id = (await heard(client))["meta"]["id"]
        assert await put(relay, log_id, put_of(log_id), **options) == (200, {"id": log_id, "status": "sent"})
        status, body, headers = await sending
        assert (status, body, headers["content-type"]) == (201, b"hi", "text/x")
        assert relay.counters.answered == 1
        # A second answer is late, and no mistake.
        assert (await put(relay, log_id, put_of(log_id), **options))[0] == 200
        await client.close()


async def test_where_nobody_answers_the_static_answer_is_given() -> None:
    async with running(settings_of(asking(timeout=0.05))) as relay:
        client = await subscribed(relay)
        assert (await send(relay))[:2] == (503, b"static")
        log_id = (await heard(client))["meta"]["id"]
        assert (await put(relay, log_id, put_of(log_id)))[0] == 200
        assert (relay.counters.answered, relay.counters.unanswered) == (0, 1)
        await client.close()


async def test_only_the_output_that_is_named_answers() -> None:
    async with running(settings_of(asking("two", outputs=OUTPUTS))) as relay:
        client = await subscribed(relay)
        sending = asyncio.create_task(send(relay))
        frames = {
            one["meta"]["output_name"]: one["meta"]["id"]
            for one in [await heard(client), await heard(client)]
        }
        assert (await put(relay, frames["one"], put_of("", b"one")))[0] == 200
        assert not sending.done()
        await put(relay, frames["two"], put_of("", b"two"))
        assert (await sending)[1] == b"two"
        await client.close()


async def test_of_any_output_the_first_answers() -> None:
    async with running(settings_of(asking(outputs=OUTPUTS))) as relay:
        client = await subscribed(relay)
        sending = asyncio.create_task(send(relay))
        await heard(client)
        log_id = (await heard(client))["meta"]["id"]
        await put(relay, log_id, put_of("", b"two"))
        assert (await sending)[1] == b"two"
        await client.close()


async def test_an_input_that_waits_for_nobody_answers_at_once() -> None:
    async with running(settings_of("a")) as relay:
        client = await subscribed(relay)
        assert (await send(relay))[:2] == (200, b"")
        log_id = (await heard(client))["meta"]["id"]
        assert (await put(relay, log_id, put_of(log_id)))[0] == 200
        await client.close()


async def test_senders_that_wait_are_bounded() -> None:
    async with running(settings_of(asking(), limits=Limits(waiting=1, confirm=0.01))) as relay:
        client = await subscribed(relay)
        first = asyncio.create_task(send(relay))
        log_id = (await heard(client))["meta"]["id"]
        assert (await send(relay))[0] == 503
        await put(relay, log_id, put_of(log_id))
        assert (await first)[0] == 201
        await client.close()


async def test_a_relay_that_stops_leaves_nobody_waiting() -> None:
    async with running(settings_of(asking())) as relay:
        client = await subscribed(relay)
        sending = asyncio.create_task(send(relay))
        await heard(client)
        await relay.close()
        assert (await sending)[:2] == (503, b"static")
        await client.close()


async def test_an_answer_to_head_has_no_body() -> None:
    async with running(settings_of(asking())) as relay:
        client = await subscribed(relay)
        sending = asyncio.create_task(send(relay, "HEAD"))
        log_id = (await heard(client))["meta"]["id"]
        await put(relay, log_id, put_of(log_id))
        assert (await sending)[:2] == (201, b"")
        await client.close()


@pytest.mark.parametrize(
    ("said", "options", "status"),
    [
        (put_of("x"), {}, 404),
        (put_of("x"), {"headers": {}}, 401),
        (put_of("x"), {"headers": basic(TOKEN.key, "wrong")}, 401),
        (b"{", {}, 400),
        (b"x" * 200_000, {}, 413),
    ],
)
async def test_refusals(said: Any, options: dict[str, Any], status: int) -> None:
    async with running(settings_of(asking(), limits=Limits(body=1024))) as relay:
        found, body = await put(relay, "no-such-log", said, **options)
        assert (found, list(body)) == (status, ["error"])


async def test_an_answer_of_the_largest_size_is_taken() -> None:
    async with running(settings_of(asking())) as relay:
        client = await subscribed(relay)
        sending = asyncio.create_task(send(relay))
        log_id = (await heard(client))["meta"]["id"]
        largest = b"x" * Limits().body
        assert (await put(relay, log_id, put_of(log_id, largest)))[0] == 200
        assert (await sending)[1] == largest
        await eventually(lambda: relay.counters.answered)
        await client.close()


# The settings file


def inputs(lines: str, outputs: str = "") -> tuple[Input, ...]:
    text = f"tokens: {{pi: s}}\nbuckets:\n  a:\n    inputs:\n      main: {{{lines}}}\n{outputs}"
    return parse_settings(text, {}).buckets[0].inputs


INTERNAL = (
    "    outputs:\n      one: {destination: http://h}\n      out: {destination: http://h, internal: false}\n"
)


def test_settings() -> None:
    [entry] = inputs("response_from_output: any")
    assert (entry.response_from_output, entry.timeout) == (ANY_OUTPUT, 10.0)
    assert inputs("response_from_output: anyOutput")[0].response_from_output == ANY_OUTPUT
    [entry] = inputs("response_from_output: one, timeout: 500ms", INTERNAL)
    assert (entry.response_from_output, entry.timeout) == ("one", 0.5)
    bucket_id = Bucket.named("a").id
    [entry] = inputs(f"response_from_output: {output_id(bucket_id, 'one')}", INTERNAL)
    assert entry.response_from_output == "one"
    assert inputs("status: 200")[0].response_from_output is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("response_from_output: on", "any is needed, or the name or ID of an output"),
        ("response_from_output: ''", "this can't be empty"),
        ("response_from_output: any, timeout: 11s", "11s is out of range"),
        ("timeout: 1s", "timeout: nobody is waited for; add response_from_output"),
    ],
)
def test_mistakes(lines: str, message: str) -> None:
    with pytest.raises(SettingsError) as refused:
        inputs(lines, INTERNAL)
    assert [one.message for one in refused.value.problems] == [message]
