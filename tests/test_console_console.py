"""Where the console listens, and that it never ends the daemon."""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bridge.config.model import ConsoleSettings
from bridge.console.console import Console
from bridge.console.listener import MOST_CONNECTIONS
from bridge.operations import commands
from bridge.secret import Secret
from tests.support.console import TOKEN, Parts, asking, running_console, running_parts
from tests.support.mosquitto import free_port
from tests.support.waiting import eventually, eventually_async

ANY = "0.0.0.0"  # noqa: S104  # what is tested


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


@pytest.fixture
async def console(parts: Parts) -> AsyncIterator[Console]:
    console = Console(parts, commands(parts), retry=0.05)
    yield console
    await console.close()


async def answers(port: int) -> bool:
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/healthz") as found,
        ):
            return found.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_changed_settings_move_it(console: Console) -> None:
    first, second = free_port(), free_port()
    console.use(ConsoleSettings(("127.0.0.1", first)))
    await eventually_async(lambda: answers(first))
    console.use(ConsoleSettings(("127.0.0.1", second)))
    await eventually_async(lambda: answers(second))
    assert not await answers(first)
    console.use(None)
    await eventually(lambda: not console.state.url)
    assert not await answers(second)


async def test_a_quick_change_at_the_same_address_is_no_conflict(
    console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    for bodies in (True, False, True, False):
        console.use(ConsoleSettings(("127.0.0.1", port), bodies=bodies))
        await asyncio.sleep(0)
    await eventually_async(lambda: answers(port))
    console.use(ConsoleSettings(("127.0.0.1", port), token=Secret(TOKEN)))
    await eventually_async(lambda: answers(port))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_same_settings_leave_it_alone(console: Console) -> None:
    port = free_port()
    console.use(ConsoleSettings(("127.0.0.1", port)))
    await eventually_async(lambda: answers(port))
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/events") as stream:
        await stream.content.readuntil(b"\n\n")
        console.use(ConsoleSettings(("127.0.0.1", port)))
        await asyncio.sleep(0)
        async with session.get(f"http://127.0.0.1:{port}/healthz") as response:
            assert response.status == 200
        assert not stream.content.at_eof()


async def test_an_address_in_use_is_one_warning_and_tried_again(
    console: Console, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        console.use(ConsoleSettings(("127.0.0.1", port)))
        await eventually(lambda: caplog.records)
    await eventually_async(lambda: answers(port))
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warning.startswith(f"there is no console at http://127.0.0.1:{port}: Address already in use")


@pytest.mark.parametrize("host", [ANY, "192.0.2.1", "::"])
async def test_it_does_not_listen_for_others_without_a_token(
    console: Console, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    port = free_port()
    console.use(ConsoleSettings((host, port)))
    await eventually(lambda: caplog.records)
    assert "which takes a token" in caplog.text
    assert not console.state.url
    assert not await answers(port)


async def test_it_listens_for_others_with_a_token(parts: Parts) -> None:
    settings = ConsoleSettings((ANY, 0), token=Secret(TOKEN))
    async with running_console(parts, settings) as url, asking(url.replace(ANY, "127.0.0.1")) as session:
        async with session.get("/metrics") as response:
            assert response.status == 401
        async with session.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
            assert response.status == 200


async def test_a_unix_socket_is_the_groups_and_goes_with_the_console(
    console: Console, tmp_path: Path
) -> None:
    path = tmp_path / "console.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
    console.use(ConsoleSettings(path))
    await eventually(lambda: console.state.url)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(os.fspath(path))) as session:
        async with session.get("http://localhost/healthz") as response:
            assert response.status == 200
        async with session.get("http://evil.example/healthz") as response:
            assert response.status == 421
    await console.close()
    assert not path.exists()


async def test_a_file_in_the_sockets_place_is_kept(
    console: Console, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    console.use(ConsoleSettings(path))
    await eventually(lambda: caplog.records)
    assert f"there is no console at {path}: File exists" in caplog.text
    assert path.read_text() == "mine"


async def test_connections_are_bounded(parts: Parts) -> None:
    async with running_console(parts) as url:
        port = int(url.rpartition(":")[2])
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST_CONNECTIONS)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        assert not await answers(port)
        for _, one in [*streams, (reader, writer)]:
            one.close()
        await eventually_async(lambda: answers(port))


async def test_there_is_none_where_none_is_wanted(console: Console) -> None:
    console.use(None)
    assert not console.state.url
    await console.close()
