"""Public outputs: what the relay calls itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge.selfhosted import outbound
from bridge.selfhosted.resources import ANY_OUTPUT, Bucket, Input, Limits, Output
from bridge.selfhosted.rules import parse_rule
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.destination import Destination, running_destination
from tests.support.relay_clients import interface, post, running, settings_of
from tests.support.waiting import eventually, eventually_async


@pytest.fixture(name="destination")
async def _destination() -> AsyncIterator[Destination]:
    async with running_destination() as found:
        yield found


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbound, "FIRST_PAUSE", 0.01)


def bucket_with(output: Output, **of_input: Any) -> Bucket:
    return Bucket("a", "a-id", (Input("i", "in-1", **of_input),), (output,))


@asynccontextmanager
async def relay_with(
    output: Output, limits: Limits | None = None, **of_input: Any
) -> AsyncIterator[SelfHostedRelay]:
    async with running(settings_of(bucket_with(output, **of_input), limits=limits)) as relay:
        yield relay


async def entries(relay: SelfHostedRelay) -> list[dict[str, Any]]:
    async with interface(relay) as http, http.get("/v1/logs") as answer:
        found: list[dict[str, Any]] = (await answer.json())["data"]
        return found


async def ended(relay: SelfHostedRelay) -> dict[str, Any]:
    """The first entry, once its call has an outcome."""

    async def probe() -> bool:
        return bool((await entries(relay))[0]["status"] != "received")

    await eventually_async(probe)
    return (await entries(relay))[0]


async def test_a_call_has_all_of_the_request(destination: Destination) -> None:
    output = Output("out", f"{destination.url}/x?k=v", False, headers=(("X-Own", "1"), ("X-Both", "output")))
    async with relay_with(output) as relay, aiohttp.ClientSession() as http:
        headers = {"X-Both": "sender", "Content-Type": "application/octet-stream", "Connection": "close"}
        url = relay.webhook_url("a") + "/deep/er?q=1"
        async with http.put(url, data=b"\x00\xff\xfe", headers=headers) as answer:
            assert answer.status == 200
        await eventually(lambda: destination.calls)
        ((method, target, sent, body),) = destination.calls
        assert (method, target, body) == ("PUT", "/x/deep/er?k=v&q=1", b"\x00\xff\xfe")
        assert (sent["X-Own"], sent["X-Both"]) == ("1", "output")
        assert sent["Content-Type"] == "application/octet-stream"
        assert sent["Host"] == destination.url.removeprefix("http://")
        entry = await ended(relay)
        assert (entry["status"], entry["status_code"], entry["internal"]) == ("sent", 200, False)
        assert relay.counters.called == 1


async def test_a_locked_path_and_rules(destination: Destination) -> None:
    rules = parse_rule({"match": {"value": "POST", "parameter": {"source": "method"}}})
    output = Output("out", f"{destination.url}/x", False, lock_path=True, rules=rules)
    async with relay_with(output) as relay, aiohttp.ClientSession() as http:
        for method in ("GET", "POST"):
            async with http.request(method, relay.webhook_url("a") + "/deep"):
                pass
        await eventually(lambda: destination.calls)
        assert [one[:2] for one in destination.calls] == [("POST", "/x")]
        assert len(await entries(relay)) == 1


@pytest.mark.parametrize(
    ("status", "calls", "outcome"),
    [
        (503, 3, "failed"),
        (429, 3, "failed"),
        (404, 1, "failed"),
        (501, 1, "failed"),
        (302, 1, "failed"),
        (204, 1, "sent"),
    ],
)
async def test_what_is_tried_again(destination: Destination, status: int, calls: int, outcome: str) -> None:
    destination.answer = lambda _count: web.Response(status=status, headers={"Location": destination.url})
    async with relay_with(Output("out", destination.url, False, retries=2)) as relay:
        await post(relay, "a", "1")
        entry = await ended(relay)
        assert (entry["status"], entry["status_code"], entry["retries"]) == (outcome, status, calls - 1)
        assert len(destination.calls) == calls


async def test_a_destination_that_returns(destination: Destination) -> None:
    destination.answer = lambda count: web.Response(status=200 if count == 3 else 500)
    async with relay_with(Output("out", destination.url, False)) as relay:
        await post(relay, "a", "1")
        entry = await ended(relay)
        assert (entry["status"], entry["retries"]) == ("sent", 2)


async def test_nobody_there_and_nobody_answering(destination: Destination) -> None:
    destination.delay = 30.0
    for url, timeout in (("http://127.0.0.1:1/", 1.0), (destination.url, 0.05)):
        async with relay_with(Output("out", url, False, retries=1, timeout=timeout)) as relay:
            await post(relay, "a", "1")
            entry = await ended(relay)
            assert (entry["status"], entry["status_code"], entry["retries"]) == ("failed", 0, 1)


async def test_a_sender_can_wait_for_the_answer_of_a_public_output(destination: Destination) -> None:
    destination.answer = lambda _count: web.Response(
        status=201, text="made", headers={"X-A": "b", "Server": "s"}
    )
    output = Output("out", destination.url, False)
    for wanted in ("out", ANY_OUTPUT):
        async with (
            relay_with(output, response_from_output=wanted) as relay,
            aiohttp.ClientSession() as http,
            http.post(relay.webhook_url("a")) as answer,
        ):
            assert (answer.status, await answer.text(), answer.headers["X-A"]) == (201, "made", "b")
            assert "Server" not in answer.headers


async def test_what_there_is_no_room_for_has_failed(destination: Destination) -> None:
    destination.delay = 30.0
    async with relay_with(Output("out", destination.url, False), Limits(calls_frames=1)) as relay:
        await post(relay, "a", "1", "2")
        assert [one["status"] for one in await entries(relay)] == ["received", "failed"]
        assert relay.counters.calls_failed == 1


async def test_a_restarted_relay_takes_up_what_has_no_outcome(
    destination: Destination, tmp_path: Path
) -> None:
    destination.delay = 30.0
    settings = replace(settings_of(bucket_with(Output("out", destination.url, False))), state=tmp_path)
    async with running(settings) as relay:
        await post(relay, "a", "1")
        await eventually(lambda: destination.calls)
    destination.delay = 0.0
    async with running(settings) as relay:
        assert (await ended(relay))["status"] == "sent"
    assert [one[3] for one in destination.calls] == [b"1", b"1"]
    async with running(settings):
        pass
    assert len(destination.calls) == 2
