import asyncio
from contextlib import suppress

from bridge.selfhosted.resources import Limits
from tests.support.relay_clients import bodies, post, running, settings_of, subscribed
from tests.support.waiting import eventually

HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


async def test_a_connection_without_a_request_is_closed_and_others_stay() -> None:
    async with running(settings_of("a", limits=Limits(idle=0.2, confirm=0.01))) as relay:
        subscriber = await subscribed(relay, ["a"])
        silent = await asyncio.open_connection("127.0.0.1", relay.port)
        dribbling = await asyncio.open_connection("127.0.0.1", relay.port)
        dribbling[1].write(HEAD)
        kept = await asyncio.open_connection("127.0.0.1", relay.port)
        kept[1].write(HEAD + b"\r\n")
        assert (await kept[0].readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        for reader, _ in (silent, dribbling):
            async with asyncio.timeout(10):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
        await eventually(lambda: relay.counters.idle == 2)
        kept[1].write(HEAD + b"\r\n")
        assert (await kept[0].readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        await post(relay, "a", "1")
        assert await bodies(subscriber, 1) == ["1"]
        await subscriber.close()
        for _, writer in (silent, dribbling, kept):
            writer.close()
