"""Dead letters by the command line: seen, tried again by today's routes, purged, and never lost."""

import asyncio
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.cli import Done, run
from tests.support.http import RecordingServer, recording_server
from tests.support.mosquitto import Broker, Collector
from tests.support.process import BridgeProcess, conserved
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.waiting import eventually, eventually_async

MANY = 1000


def to_shop(relay: ScriptedRelay, service: RecordingServer, path: str = "/orders", route: str = "") -> str:
    """A routing file with one route to a service."""
    send = f"send: [{{http: '{path}', service: shop}}]"
    return (
        f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
        f"services: {{shop: {{url: '{service.url}', max_in_flight: 50}}}}\n"
        "routes:\n"
        f"  - {{name: order, match: {{bucket: doorbell}}, {send}{route}}}\n"
    )


async def dead(bridge: BridgeProcess, *arguments: str) -> Done:
    folder = str(bridge.folder / "run")
    return await asyncio.to_thread(run, "dead", *arguments, RUNTIME_DIRECTORY=folder)


async def listed(bridge: BridgeProcess, *filters: str) -> list[dict[str, Any]]:
    done = await dead(bridge, "list", "--format", "json", *filters)
    assert done.status == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


async def status_with(bridge: BridgeProcess, *, dead: int, pending: int = 0) -> dict[str, Any]:
    """The status as soon as the journal holds so many; its counts add up all the time."""

    async def found() -> dict[str, Any] | None:
        status = await bridge.ask("status")
        conserved(status)
        owed = sum(target["pending"] for target in status["targets"].values())
        journal = status["journal"]
        return status if (journal["dead"], owed, journal["unsaved"]) == (dead, pending, 0) else None

    status = await eventually_async(found, 30)
    assert status is not None
    return status


async def edited(bridge: BridgeProcess, routing: str) -> None:
    bridge.file.write_text(routing)

    async def applied() -> bool:
        return bool((await bridge.ask("reload"))["outcome"] == "unchanged")

    await eventually_async(applied)


@asynccontextmanager
async def refused(
    folder: Path, count: int
) -> AsyncIterator[tuple[BridgeProcess, ScriptedRelay, RecordingServer]]:
    """A bridge with dead letters of a service that answered 400."""
    async with (
        scripted_relay() as relay,
        recording_server(status=400) as service,
        BridgeProcess(folder / "bridge", to_shop(relay, service)) as bridge,
    ):
        await relay.send(*(a_webhook(n, body=f'{{"n": {n}}}') for n in range(count)))
        await status_with(bridge, dead=count)
        assert len(service.requests) == count
        service.requests.clear()
        yield bridge, relay, service


async def test_a_refused_webhook_arrives_once_the_service_is_mended(tmp_path: Path) -> None:
    async with refused(tmp_path, 3) as (bridge, relay, service):
        letters = await listed(bridge)
        assert [letter["place"] for letter in letters] == ["/orders"] * 3
        assert {(letter["route"], letter["target"], letter["code"]) for letter in letters} == {
            ("order", "http:shop", "http-400")
        }

        again = await dead(bridge, "retry", str(letters[0]["id"]))
        assert (again.status, again.out) == (0, "1 of 1 dead letters are on their way again\n")
        await status_with(bridge, dead=3)
        assert [letter["id"] for letter in await listed(bridge)] != [letter["id"] for letter in letters]

        service.status = 200
        service.requests.clear()
        done = await dead(bridge, "retry", "--all")
        assert (done.status, done.out) == (0, "3 of 3 dead letters are on their way again\n")
        status = await status_with(bridge, dead=0)
        assert sorted(json.loads(request.body)["n"] for request in service.requests) == [0, 1, 2]
        assert status["targets"]["http:shop"]["accepted"] == 7
        assert status["targets"]["http:shop"]["delivered"] == 3
        await relay.send(*(a_webhook(n) for n in range(3)))
        await eventually_async(lambda: _webhooks(bridge, 6))
        assert len(service.requests) == 3, "what the relay sends again is a repeat all the same"
        assert await bridge.stop() == 0


async def _webhooks(bridge: BridgeProcess, count: int) -> bool:
    return bool((await bridge.ask("status"))["counters"]["webhooks"] == count)


async def test_a_retry_goes_where_the_route_sends_today(tmp_path: Path) -> None:
    async with refused(tmp_path, 2) as (bridge, relay, service):
        service.status = 200
        await edited(bridge, to_shop(relay, service, "/v2/orders"))
        one = (await listed(bridge))[0]["id"]
        assert (await dead(bridge, "retry", str(one))).status == 0
        await eventually(lambda: [request.path for request in service.requests] == ["/v2/orders"])

        await edited(
            bridge,
            to_shop(relay, service).replace("http: '/orders', service: shop", f"http: {service.url}/x"),
        )
        (left,) = await listed(bridge)
        done = await dead(bridge, "retry", "--route", "order")
        assert (done.status, done.out) == (1, "0 of 1 dead letters are on their way again\n")
        assert done.err == f"{left['id']} stays: route order sends it no more to http:shop\n"
        await status_with(bridge, dead=1)
        assert len(service.requests) == 1


async def test_an_edited_topic_of_a_broker_is_used_by_a_retry(tmp_path: Path) -> None:
    async with (
        scripted_relay() as relay,
        Broker(tmp_path) as broker,
        Collector(broker.port, "#", qos=1) as seen,
    ):
        routing = (
            f"relay: {{url: '{relay.url}', key: {KEY}, secret: {SECRET}}}\nconsole: off\n"
            f'brokers: {{home: {{url: "mqtt://127.0.0.1:{broker.port}"}}}}\n'
            "routes:\n"
            "  - name: ring\n"
            "    match: {bucket: doorbell}\n"
            '    send: [{mqtt: all}, {mqtt: "ring/{{ body.dor }}"}]\n'
        )
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:
            await relay.send(a_webhook(1, body='{"door": "front"}'))
            await status_with(bridge, dead=1)
            done = await dead(bridge, "retry", "--code", "render")
            assert done.status == 1
            assert "it can still not be rendered: body.dor is missing" in done.err

            await edited(bridge, routing.replace("body.dor ", "body.door "))
            assert (await dead(bridge, "retry", "--code", "render")).status == 0
            await status_with(bridge, dead=0)
            await seen.wait(2)
            assert await bridge.stop() == 0
        assert [message.topic for message in seen.messages] == ["all", "ring/front"], (
            "its sibling was sent before"
        )


async def test_a_thousand_are_retried_within_seconds_and_purged_by_filter(tmp_path: Path) -> None:
    async with refused(tmp_path, MANY + 50) as (bridge, _, service):
        letters = await listed(bridge)
        assert len(letters) == MANY + 50, "a listing has no end but the last one"
        assert await listed(bridge, "--older-than", "1h") == []
        assert (
            await listed(bridge, "--target", "http:shop", "--code", "http-400", "--route", "order") == letters
        )
        done = await dead(bridge, "purge", *(str(letter["id"]) for letter in letters[:50]))
        assert done.out == "50 dead letters are removed\n"

        service.status = 200
        began = time.monotonic()
        done = await dead(bridge, "retry", "--route", "order")
        took = time.monotonic() - began
        assert done.out == f"{MANY} of {MANY} dead letters are on their way again\n"
        assert took < 15, took
        await status_with(bridge, dead=0)
        assert sorted(json.loads(request.body)["n"] for request in service.requests) == list(
            range(50, MANY + 50)
        )
        assert (await dead(bridge, "purge", "--all")).out == "0 dead letters are removed\n"


async def test_a_kill_in_the_middle_of_a_retry_loses_nothing(tmp_path: Path) -> None:
    count = 400
    async with refused(tmp_path, count) as (bridge, _, service):
        service.status = 200
        retrying = asyncio.create_task(dead(bridge, "retry", "--all"))
        await eventually(lambda: len(service.requests) > count // 10)
        await bridge.kill()
        await retrying
        await bridge.start()
        await dead(bridge, "retry", "--all")
        await status_with(bridge, dead=0)
        assert {json.loads(request.body)["n"] for request in service.requests} == set(range(count))


async def test_a_signed_webhook_is_not_too_old_for_a_retry(tmp_path: Path) -> None:
    async with scripted_relay() as relay, recording_server(status=422) as service:
        routing = to_shop(relay, service, route=", verify: paid") + (
            "verifiers: {paid: {scheme: stripe, secrets: [s3cret], window: 3s}}\n"
        )
        async with BridgeProcess(tmp_path / "bridge", routing) as bridge:
            signed = a_webhook(1, body='{"event": "paid"}')
            stamp = int(time.time())
            proof = hmac.new(b"s3cret", f"{stamp}.{signed.text}".encode(), "sha256").hexdigest()
            signed.headers["stripe-signature"] = (f"t={stamp},v1={proof}",)  # type: ignore[index]  # a dict here
            await relay.send(signed)
            await status_with(bridge, dead=1)
            service.status = 200
            await eventually(lambda: time.time() > stamp + 4, every=0.1)
            done = await dead(bridge, "retry", "--all")
            assert done.status == 0, done.err
            await status_with(bridge, dead=0)
            assert "s3cret" not in bridge.log_text()


async def test_what_is_shown_holds_no_escape_and_no_header_value(tmp_path: Path) -> None:
    async with scripted_relay() as relay, recording_server(status=400) as service:
        hostile = a_webhook(1, body='{"x": "\\u001b[2J\x9b"}')
        hostile.headers["authorization"] = ("Bearer s3cret",)  # type: ignore[index]  # a dict here
        async with BridgeProcess(
            tmp_path / "bridge", to_shop(relay, service, "/{{ body.x }}?q={{ body.x }}")
        ) as bridge:
            await relay.send(hostile)
            await status_with(bridge, dead=1)
            for arguments in (("list",), ("list", "--format", "json"), ("show", "1")):
                done = await dead(bridge, *arguments)
                assert done.status == 0
                assert not {"\x1b", "\x9b"} & set(done.out), arguments
                assert "s3cret" not in done.out
            shown = (await dead(bridge, "show", "1")).json()
            assert shown["webhook"]["headers"] == ["authorization", "content-type"]
            assert "?" not in shown["place"]
            missing = await dead(bridge, "show", "99")
            assert (missing.status, missing.err) == (1, "relay-bridge: there is no such dead letter\n")


async def test_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    async with refused(tmp_path, 1) as (bridge, _, _):
        assert "error" in await bridge.ask("dead-list", rute="order")
        assert "error" in await bridge.ask("dead-show")
        assert "error" in await bridge.ask("dead-retry", ids=["1"])
        assert "error" in await bridge.ask("dead-purge")
        assert "error" in await bridge.ask("webhooks", after=-1)
        assert len(await listed(bridge)) == 1
