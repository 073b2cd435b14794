"""The page's live view, by real HTTP."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.console import events as events_module
from bridge.console.events import MOST_CLIENTS, TICK
from bridge.console.history import History
from bridge.passages import KEPT
from bridge.routing.table import Routed
from tests.support.console import CANARY, Parts, asking, running_console, running_parts
from tests.support.deliveries import webhook
from tests.support.waiting import eventually


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


@pytest.fixture
async def session(parts: Parts) -> AsyncIterator[aiohttp.ClientSession]:
    async with running_console(parts) as url, asking(url) as session:
        yield session


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Kind and data of each event."""
    kind = "message"
    while line := await response.content.readuntil(b"\n"):
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            yield kind, json.loads(value)
            kind = "message"


async def test_the_whole_comes_first_and_then_what_changed(
    parts: Parts, session: aiohttp.ClientSession
) -> None:
    parts.intake.accept(webhook(b'{"door": "front"}', id="early"))
    async with session.get("/events") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        stream = events(response)
        kind, said = await anext(stream)
        assert kind == "all"
        assert set(said) == {"status", "history", "webhooks"}
        assert [hook["number"] for hook in said["webhooks"]] == [1]
        assert said["status"]["routes_configured"] == ["ring", "order"]
        parts.intake.accept(webhook(b'{"door": "front"}', id="late"))
        seen: dict[int, Any] = {}
        async with asyncio.timeout(10):
            async for kind, said in stream:
                assert kind == "message"
                seen |= {hook["number"]: hook for hook in said.get("webhooks", ())}
                if 2 in seen and seen[2]["outcome"] == "delivered":
                    break
        assert set(seen) <= {1, 2}
        assert seen[2]["routes"] == ["ring"]
        assert seen[2]["latency"] < 5


async def test_many_webhooks_are_few_events(parts: Parts, session: aiohttp.ClientSession) -> None:
    loop = asyncio.get_running_loop()
    async with session.get("/events") as response:
        stream = events(response)
        await anext(stream)
        began = loop.time()
        for number in range(3 * KEPT):
            parts.intake.accept(webhook(b'{"door": "front"}', id=f"{number}"))
            if number % 50 == 0:
                await asyncio.sleep(0.02)
        count, newest = 0, 0
        async with asyncio.timeout(10):
            async for _, said in stream:
                count += 1
                hooks = said.get("webhooks", ())
                assert len(hooks) <= KEPT
                newest = max([newest, *(hook["number"] for hook in hooks)])
                if newest == 3 * KEPT and parts.counts.target("mqtt:home").delivered == 3 * KEPT:
                    break
        assert count <= (loop.time() - began) / TICK + 2


async def test_nothing_is_said_where_nothing_changes(parts: Parts, session: aiohttp.ClientSession) -> None:
    async with session.get("/events") as response:
        await response.content.readuntil(b"\n\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5 * TICK):
                await response.content.readuntil(b"\n\n")
    assert parts.counts.webhooks == 0


async def test_clients_are_bounded_and_those_who_left_make_room(session: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(MOST_CLIENTS):
            response = await stack.enter_async_context(session.get("/events"))
            assert response.status == 200
        async with session.get("/events") as refused:
            assert refused.status == 503
    async with asyncio.timeout(30):
        while True:
            async with session.get("/events") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.05)


async def test_who_left_is_not_told_any_more(parts: Parts) -> None:
    async with running_console(parts) as url, asking(url) as session:
        async with session.get("/events") as response:
            await response.content.readuntil(b"\n\n")
            assert len(parts.passages._listeners) == 1
        async with asyncio.timeout(30):
            number = 0
            while parts.passages._listeners:
                parts.intake.accept(webhook(id=f"{number}"))
                number += 1
                await asyncio.sleep(0.05)


async def test_who_does_not_read_is_cut_off(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "TICK", 0.001)
    monkeypatch.setattr(events_module, "PATIENCE", 0.2)
    async with running_console(parts) as url:
        port = int(url.rpartition(":")[2])
        with socket.socket() as silent:
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            silent.connect(("127.0.0.1", port))
            silent.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            await eventually(lambda: parts.passages._listeners)
            for number in range(KEPT):
                parts.intake.accept(webhook(b'{"door": "front"}', id=f"{number}", bucket="b" * 300))
            (note,) = parts.passages._listeners

            def is_cut() -> bool:
                for passage in parts.passages:
                    note(passage)
                return not parts.passages._listeners

            await eventually(is_cut, 30)


async def test_many_more_webhooks_than_are_shown_take_no_memory(parts: Parts) -> None:
    changes = events_module._Changes(parts, History({}))
    routed = Routed((), ())
    for number in range(10 * KEPT):
        parts.passages.taken(webhook(id=f"{number}"), routed)
        changes.note(next(iter(parts.passages)))
        assert len(changes._changed) <= events_module.MOST_NUMBERS
    hooks = json.loads(changes.message(0).decode().partition("data: ")[2])["webhooks"]
    assert {hook["number"] for hook in hooks} == set(range(9 * KEPT + 1, 10 * KEPT + 1))


async def test_a_console_that_closes_ends_the_streams(parts: Parts) -> None:
    async with running_console(parts) as url, asking(url) as session:
        response = await session.get("/events")
        await response.content.readuntil(b"\n\n")
        closing = asyncio.get_running_loop().time()
    # The console is closed by now, and nothing had to be waited for.
    assert asyncio.get_running_loop().time() - closing < 1.0
    assert not parts.passages._listeners
    response.close()


async def test_no_secret_and_no_line_of_the_file_is_told(
    parts: Parts, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    broken = (tmp_path / "bridge.yaml").read_text() + "extra: {hint: c4n4ry-typo}\n"
    (tmp_path / "bridge.yaml").write_text(broken)
    assert (await parts.reload()).name == "rejected"
    async with session.get("/events") as response:
        text = (await response.content.readuntil(b"\n\n")).decode()
    (problem,) = json.loads(text.partition("data: ")[2])["status"]["configuration"]["problems"]
    assert problem["line"] == broken.count("\n")
    assert problem["column"] == 1
    assert "extra" in problem["message"]
    assert CANARY not in text
