"""Who a request is from, with proxies in between and with clients that lie."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.selfhosted.proxies import client_of
from bridge.selfhosted.resources import Network
from bridge.selfhosted.server import SelfHostedRelay
from tests.support.relay_clients import interface, opened, running, settings_of, subscribed

TRUSTED: Sequence[Network] = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.7, 10.1.2.3", "198.51.100.7"),
        ("127.0.0.1", "10.0.0.9, 10.1.2.3", "10.0.0.9"),
        ("127.0.0.1", "198.51.100.7, unknown", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7, , 10.1.2.3", "10.1.2.3"),
        ("127.0.0.1", "198.51.100.7:4711", "198.51.100.7"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7"),
        ("fd00::1", "198.51.100.7", "198.51.100.7"),
        ("", "198.51.100.7", ""),
        ("127.0.0.1", "198.51.100.7, " + "10.1.2.3, " * 50, "127.0.0.1"),
    ],
)
def test_the_nearest_that_is_not_trusted(peer: str, forwarded: str, client: str) -> None:
    assert client_of(peer, forwarded, TRUSTED) == client


@given(st.text(max_size=200), st.ip_addresses())
def test_nothing_that_a_client_says_hides_where_it_is(lie: str, client: object) -> None:
    if not any(client in one for one in TRUSTED):
        plain = str(getattr(client, "ipv4_mapped", None) or client)
        assert client_of("127.0.0.1", f"{lie},{client}, 10.0.0.1", TRUSTED) == plain


async def seen(relay: SelfHostedRelay, *forwarded: str) -> str:
    """The address that the log shows for a webhook."""
    headers = [("X-Forwarded-For", one) for one in forwarded] + [("X-Forwarded-Proto", "https")]
    async with aiohttp.ClientSession() as http, http.post(relay.webhook_url("a"), headers=headers) as answer:
        assert answer.status == 200
    async with interface(relay) as http, http.get("/v1/logs") as answer:
        return str((await answer.json())["data"][-1]["ip_address"])


async def test_the_log_and_connected_clients_show_who_is_behind_the_proxy() -> None:
    settings = replace(settings_of("a"), trusted_proxies=tuple(TRUSTED))
    async with running(settings) as relay:
        assert await seen(relay, "198.51.100.7") == "198.51.100.7"
        assert await seen(relay, "203.0.113.5", "198.51.100.7, 10.0.0.1") == "198.51.100.7"
        assert await seen(relay) == "127.0.0.1"
        client = await subscribed(relay, additional_headers={"X-Forwarded-For": "198.51.100.8"})
        async with interface(relay) as http, http.get("/v1/connected-clients") as answer:
            assert "198.51.100.8" in await answer.text()
        await client.close()


async def test_without_trust_the_header_is_a_header_and_the_operator_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(settings_of("a")) as relay:
        assert await seen(relay, "198.51.100.7") == "127.0.0.1"
        assert await seen(relay, "198.51.100.7") == "127.0.0.1"
        await (await opened(relay)).close()
    told = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert told == ["requests come through 127.0.0.1, which is not in trusted_proxies: all clients are one"]
