"""Health as a service manager or a monitor asks for it, by real HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bridge.console import health
from tests.support.console import ROUTING, Parts, asking, running_console, running_parts
from tests.support.relays import KEY, SECRET, running_relay
from tests.support.waiting import eventually_async


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_relay("doorbell", "shop") as relay:
        account = f'url: "{relay.socket_url}", key: {KEY}, secret: "{SECRET}"'
        routing = ROUTING.replace("key: relay-key, secret: c4n4ry-relay", account)
        async with running_parts(tmp_path, routing) as parts:
            yield parts


async def ready(session: aiohttp.ClientSession) -> tuple[int, list[str]]:
    async with session.get("/readyz") as response:
        return response.status, (await response.text()).splitlines()


async def test_it_is_alive_before_it_is_ready(parts: Parts) -> None:
    async with running_console(parts) as url, asking(url) as session:
        async with session.get("/healthz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        status, reasons = await ready(session)
        assert status == 503
        assert reasons == ["relay: not started"]


async def test_it_is_ready_when_it_is_subscribed_and_the_journal_answers(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "PATIENCE", 0.1)
    parts.relay.use(parts.config.relay)
    async with running_console(parts) as url, asking(url) as session:

        async def is_ready() -> bool:
            return await ready(session) == (200, ["ok"])

        await eventually_async(is_ready)
        # The journal's thread hangs for a while.
        hanging = asyncio.create_task(parts.journal._writer.call(lambda _store: time.sleep(0.5)))
        status, reasons = await ready(session)
        assert status == 503
        assert reasons == ["journal: no answer within 0.1 s"]
        await hanging
        await eventually_async(is_ready)
        parts.relay.hold("the journal can't follow")

        async def is_held() -> bool:
            return (await ready(session))[1] == ["relay: held (the journal can't follow)"]

        await eventually_async(is_held)


async def test_a_rejected_file_leaves_it_ready(parts: Parts, tmp_path: Path) -> None:
    parts.relay.use(parts.config.relay)
    (tmp_path / "bridge.yaml").write_text("routes: 5\n")
    assert (await parts.reload()).name == "rejected"
    async with running_console(parts) as url, asking(url) as session:

        async def is_ready() -> bool:
            return (await ready(session))[0] == 200

        await eventually_async(is_ready)
