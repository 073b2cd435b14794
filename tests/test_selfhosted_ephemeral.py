"""Buckets whose webhooks are in memory only."""

import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.selfhosted.api.ephemeral import PartlyEphemeral
from bridge.selfhosted.history import Frame, History, Origin, Outcome, Query
from bridge.selfhosted.local import Recent
from bridge.selfhosted.resources import MIB, Bucket, Limits, Output, Settings
from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.store import Store
from bridge.selfhosted.wire import text_frame
from tests.support.canary import files_with
from tests.support.relay_clients import bodies, interface, running, say, settings_of, subscribed
from tests.support.waiting import eventually_async

CANARY = "canary-7f3a9c51e2d84b60-canary"
OTHER = "another-webhook"
UNREACHABLE = Output("archive", "http://127.0.0.1:1/in", internal=False, retries=0)


def settings(state: Path, *, ephemeral: bool = True, outputs: tuple[Output, ...] = ()) -> Settings:
    secret = replace(Bucket.named("secret", outputs=outputs), ephemeral=ephemeral)
    return replace(settings_of(secret, "plain"), state=state)


async def send(relay: SelfHostedRelay, bucket: str, text: str) -> None:
    url = f"{relay.webhook_url(bucket)}/p?q={text}"
    async with (
        aiohttp.ClientSession() as http,
        http.put(url, data=text.encode() + b"\xff", headers={"X-It": text}) as answer,
    ):
        assert answer.status == 200


async def log(http: aiohttp.ClientSession, **query: str) -> list[dict[str, Any]]:
    async with http.get("/v1/logs", params=query) as answer:
        found: list[dict[str, Any]] = (await answer.json())["data"]
        return found


async def live(relay: SelfHostedRelay) -> None:
    """All that can happen to a webhook."""
    await send(relay, "secret", CANARY)
    plain = await subscribed(relay, ["secret"])
    exact = await subscribed(relay, ["secret"], wishes={"ack": "explicit", "body_encoding": "base64"})
    assert CANARY in (await bodies(plain, 1))[0]
    await bodies(exact, 1)
    async with interface(relay) as http:
        entry = next(one for one in await log(http, bucket="secret") if one["internal"])
        await say(exact, {"action": "ack", "id": entry["id"]})
        async with http.post(f"/v1/logs/{entry['id']}/action", json={"action": "resend"}) as answer:
            assert answer.status == 200
        async with http.put(f"/v1/logs/{entry['id']}", json={"status_code": 418}) as answer:
            assert answer.status == 200
        await eventually_async(lambda: reported(http, entry["id"]))
    await bodies(plain, 1)
    await plain.close()
    await exact.close()
    await send(relay, "plain", OTHER)  # its commit writes what was noted, too


async def reported(http: aiohttp.ClientSession, log_id: str) -> bool:
    async with http.get(f"/v1/logs/{log_id}") as answer:
        return bool((await answer.json())["status_code"] == 418)


@pytest.mark.parametrize("outputs", [(), (UNREACHABLE, Output("n", "http://127.0.0.1:1880/n"))])
async def test_nothing_of_a_webhook_gets_onto_the_disk_or_into_a_log(
    tmp_path: Path, outputs: tuple[Output, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="bridge")
    async with running(settings(tmp_path, outputs=outputs)) as relay:
        await live(relay)
        assert files_with(tmp_path, CANARY) == []
        assert files_with(tmp_path, OTHER) != []
    assert files_with(tmp_path, CANARY) == []
    assert CANARY not in caplog.text


async def test_the_search_finds_what_is_not_ephemeral(tmp_path: Path) -> None:
    async with running(settings(tmp_path, ephemeral=False)) as relay:
        await live(relay)
        assert files_with(tmp_path, CANARY) == ["relay.db-wal"]
    assert files_with(tmp_path, CANARY) == ["relay.db"]


async def test_the_log_shows_both_kinds_in_one_order_until_a_restart(tmp_path: Path) -> None:
    async with running(settings(tmp_path)) as relay, interface(relay) as http:
        for number in range(4):
            await send(relay, "secret" if number % 2 else "plain", str(number))
        assert [one["raw_query"] for one in await log(http)] == ["q=0", "q=1", "q=2", "q=3"]
        assert [one["raw_query"] for one in await log(http, limit="3")] == ["q=0", "q=1", "q=2"]
        assert [one["raw_query"] for one in await log(http, bucket="secret")] == ["q=1", "q=3"]
    async with running(settings(tmp_path)) as relay, interface(relay) as http:
        assert [one["raw_query"] for one in await log(http)] == ["q=0", "q=2"]
        async with http.get("/v1/logs", params={"bucket": "secret"}) as answer:
            secret = (await answer.json())["complete_since"]
        async with http.get("/v1/logs", params={"bucket": "plain"}) as answer:
            assert (await answer.json())["complete_since"] < secret, "the gap has to be told"


async def test_a_sender_can_not_tell_by_time_that_a_bucket_is_ephemeral(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "typical_wait", 0.2)  # as on a slow disk
    async with running(settings(tmp_path)) as relay:
        began = time.monotonic()
        await send(relay, "secret", "1")
        assert time.monotonic() - began >= 0.2


def frames(history: History, *numbers: int, ephemeral: bool) -> None:
    for number in numbers:
        origin = Origin(f"id-{number}", 1000.0 + number)
        history.add(Frame(number, 0.0, "b", text_frame(str(number)), origin, ephemeral=ephemeral))


async def test_pages_leave_nothing_out_whichever_part_ends_first() -> None:
    disk, memory = History(Limits()), History(Limits())
    frames(disk, 1, 2, 3, 9, 10, ephemeral=False)
    frames(memory, 4, 5, 6, 7, 8, 11, ephemeral=True)
    both = PartlyEphemeral(Recent(disk), memory)
    for limit, most_bytes in ((1, MIB), (2, MIB), (4, MIB), (20, MIB), (20, 1), (20, 7)):
        seen: list[int] = []
        more = True
        while more:
            after = seen[-1] if seen else 0
            found = await both.select(Query(frozenset({"b"}), 0.0, 4e9, after, limit, most_bytes))
            assert 1 <= len(found.frames) <= limit
            seen += [one.position for one in found.frames]
            more = found.more
        assert seen == list(range(1, 12)), (limit, most_bytes)


async def test_outcomes_are_where_the_frame_is() -> None:
    disk, memory = History(Limits()), History(Limits())
    frames(disk, 1, ephemeral=False)
    frames(memory, 2, ephemeral=True)
    both = PartlyEphemeral(Recent(disk), memory)
    for log_id in ("id-1", "id-2"):
        both.note(log_id, Outcome("sent", 200))
        found = await both.find(log_id)
        assert found is not None
        assert both.outcome(found) == Outcome("sent", 200)
    assert disk.outcome("id-2") is None
    assert memory.outcome("id-1") is None
