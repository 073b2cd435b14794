import logging

import aiohttp
import pytest
from websockets.exceptions import InvalidStatus

from bridge.selfhosted.resources import Limits
from tests.support.relay_clients import heard, opened, running, say, settings_of, subscribed
from tests.support.waiting import eventually


async def test_connections_are_bounded_and_room_is_made_again() -> None:
    async with running(settings_of("a", limits=Limits(connections=2))) as relay:
        first, second = await subscribed(relay), await subscribed(relay)
        with pytest.raises(InvalidStatus) as refused:
            await opened(relay)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "5"
        await first.close()
        await eventually(lambda: relay.subscribers == 1)
        await (await subscribed(relay)).close()
        await second.close()


async def test_strangers_are_bounded_while_subscribers_are_not_counted_as_such() -> None:
    async with running(settings_of("a", limits=Limits(strangers=2))) as relay:
        members = [await subscribed(relay) for _ in range(4)]
        strangers = [await opened(relay) for _ in range(2)]
        with pytest.raises(InvalidStatus, match="503"):
            await opened(relay)
        for client in [*members, *strangers]:
            await client.close()


async def test_a_client_that_keeps_trying_with_wrong_credentials_is_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(settings_of("a")) as relay:
        for _ in range(5):
            client = await opened(relay)
            await say(client, {"action": "auth", "key": "hidden key", "secret": "hidden secret"})
            assert (await heard(client))["status"] == "unauthorized"
            await client.wait_closed()
        await eventually(lambda: relay.counters.refused == 5)
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING] == [
        "wrong credentials: 1, the last ones from 127.0.0.1"
    ]
    assert "hidden" not in caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_request_that_is_no_websocket_handshake(method: str) -> None:
    async with running(settings_of("a")) as relay, aiohttp.ClientSession() as http:
        async with http.request(method, f"{relay.url}/v1/socket") as answer:
            assert answer.status in {400, 405}
        assert relay.subscribers == 0
        await (await subscribed(relay)).close()
