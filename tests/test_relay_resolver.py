"""A name server that fails or hangs."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.errors import RelayError
from bridge.relay.client import RelayClient
from bridge.relay.resolver import Resolver
from tests.support.waiting import eventually


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Name lookups that last until the event is set."""
    answered = threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        answered.wait(30)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield answered
    answered.set()


def lookups() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "relay-resolver"]


async def test_a_name_that_is_known() -> None:
    await Resolver().check("127.0.0.1", 80)
    await eventually(lambda: not lookups())


@pytest.mark.parametrize("host", ["name.invalid", "a" * 300, ".."])
async def test_a_name_that_is_not(host: str) -> None:
    with pytest.raises(RelayError, match="can't be resolved"):
        await Resolver().check(host, 80)


async def test_a_lookup_that_hangs_is_not_repeated_before_it_ends(hanging: threading.Event) -> None:
    resolver = Resolver()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await resolver.check("relay.example", 80)
    with pytest.raises(RelayError, match="still has not answered"):
        await resolver.check("relay.example", 80)
    assert len(lookups()) == 1
    assert all(thread.daemon for thread in lookups())
    hanging.set()
    await eventually(lambda: not lookups())
    with pytest.raises(RelayError, match="Temporary failure"):
        await resolver.check("relay.example", 80)


@pytest.mark.usefixtures("hanging")
def test_the_process_does_not_wait_for_a_lookup_that_hangs() -> None:
    async def daemon() -> str:
        client = RelayClient(key="k", secret="s", url="ws://relay.example/", open_timeout=0.02)
        task = asyncio.create_task(client.run(lambda _: None))
        down = await eventually(lambda: client.state if client.state.name == "down" else None)
        await client.close()
        await task
        assert down is not None
        return down.reason

    started = time.monotonic()
    assert asyncio.run(daemon()) == "no connection within 0.02 s"
    assert time.monotonic() - started < 10  # asyncio.run waits for its executor, and the lookup takes 30 s
