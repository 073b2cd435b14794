"""The management page's address: off by default, apart from the public one, closed to strangers' pages."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from html import escape
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bridge.selfhosted.server import SelfHostedRelay
from bridge.selfhosted.settings import parse_settings
from bridge.web.origin import HEADERS, MUTATION_HEADER
from tests.support.relay_clients import TOKEN, post, running, settings_of

DOCS = Path(__file__).parent.parent / "docs"
LOCAL = ("127.0.0.1", 0)
ANY = "0.0.0.0"  # noqa: S104  # what is tested
CREDENTIALS = {"Authorization": aiohttp.encode_basic_auth(TOKEN.key, TOKEN.secret.reveal())}
OURS = CREDENTIALS | {"X-Relay-Bridge": "1"}
READ = ("/v1/buckets", "/v1/tokens", "/v1/logs", "/v1/connected-clients")


@pytest.fixture
async def relay() -> AsyncIterator[SelfHostedRelay]:
    async with running(replace(settings_of("doorbell"), manage=LOCAL)) as relay:
        yield relay


async def asked(
    relay: SelfHostedRelay, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> int:
    """The status of an answer."""
    async with (
        aiohttp.ClientSession(relay.management_url) as http,
        http.request(
            method, path, headers=headers, json={"name": "made"} if method == "POST" else None
        ) as answer,
    ):
        return answer.status


async def test_there_is_none_unless_it_is_asked_for() -> None:
    async with running(settings_of("doorbell")) as relay:
        assert relay.management_url == ""


async def test_the_public_address_does_not_serve_it(relay: SelfHostedRelay) -> None:
    assert relay.management_url != relay.url
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{relay.management_url}/") as answer:
            assert "Sign in" in await answer.text()
        async with http.get(f"{relay.url}/") as answer:
            assert (answer.status, await answer.text()) == (200, ""), "as any unknown input"


async def test_it_takes_no_webhooks_and_no_subscribers(relay: SelfHostedRelay) -> None:
    entry = relay.registry.catalog.buckets[0].inputs[0]
    assert await asked(relay, f"/v1/webhooks/{entry.id}", OURS, "POST") == 404
    assert await asked(relay, "/v1/socket") == 404
    await post(relay, "doorbell", "ding")


async def test_the_interface_is_there_for_who_has_a_token(relay: SelfHostedRelay) -> None:
    for path in READ:
        assert await asked(relay, path) == 401, path
        assert await asked(relay, path, CREDENTIALS) == 200, path


async def test_a_change_needs_the_header_that_other_origins_can_not_send(relay: SelfHostedRelay) -> None:
    assert await asked(relay, "/v1/tokens", CREDENTIALS, "POST") == 403
    assert await asked(relay, "/v1/tokens/pi", CREDENTIALS, "DELETE") == 403
    assert await asked(relay, "/v1/tokens/pi", OURS, "DELETE") == 409, "it is declared"


@pytest.mark.parametrize("path", ["/", *READ, "/nothing"])
async def test_a_rebound_name_reaches_nothing(relay: SelfHostedRelay, path: str) -> None:
    port = URL(relay.management_url).port
    assert await asked(relay, path, OURS | {"Host": f"evil.example:{port}"}) == 421
    assert await asked(relay, path, OURS | {"Host": f"127.0.0.1:{URL(relay.url).port}"}) == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "{relay}", "https://127.0.0.1:{port}"])
async def test_a_page_of_another_origin_reads_and_changes_nothing(
    relay: SelfHostedRelay, origin: str
) -> None:
    stranger = origin.format(relay=relay.url, port=URL(relay.management_url).port)
    for path in ("/", *READ):
        assert await asked(relay, path, OURS | {"Origin": stranger}) == 403
    assert await asked(relay, "/v1/buckets", OURS | {"Origin": stranger}, "POST") == 403
    assert await asked(relay, "/v1/buckets", {"Origin": stranger}, "OPTIONS") == 403
    assert len(relay.registry.catalog.buckets) == 1


async def test_what_another_site_embeds_is_refused_and_a_link_is_not(relay: SelfHostedRelay) -> None:
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert await asked(relay, "/", site | {"Sec-Fetch-Dest": "document"}) == 200
    assert await asked(relay, "/", site | {"Sec-Fetch-Dest": "iframe"}) == 403
    assert await asked(relay, "/v1/openapi.json", site) == 403


async def test_every_answer_says_what_a_browser_may_do_with_it(relay: SelfHostedRelay) -> None:
    async with aiohttp.ClientSession(relay.management_url) as http:
        for path, headers in [("/", {}), ("/v1/buckets", {}), ("/no", {}), ("/", {"Origin": "http://evil"})]:
            async with http.get(path, headers=headers) as answer:
                assert HEADERS.items() <= dict(answer.headers).items(), path
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "Server" not in answer.headers
                assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("url", ['https://hooks.example.org/"><script>', ""])
async def test_it_shows_where_senders_reach_the_relay(url: str) -> None:
    settings = replace(settings_of("a"), manage=LOCAL, public_url=url)
    async with (
        running(settings) as relay,
        aiohttp.ClientSession() as http,
        http.get(f"{relay.management_url}/") as answer,
    ):
        assert f'<meta name="relay" content="{escape(url or relay.url)}">' in await answer.text()


@pytest.mark.parametrize(("host", "is_told"), [("127.0.0.1", False), (ANY, True)])
async def test_other_machines_are_told_of(host: str, is_told: bool, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with running(replace(settings_of("a"), manage=(host, 0))):
            pass
    assert ("served to other machines" in caplog.text) == is_told


async def test_an_address_in_use_stops_the_start_and_frees_the_public_one() -> None:
    with socket.create_server(LOCAL) as taken:
        relay = SelfHostedRelay(replace(settings_of("a"), manage=taken.getsockname()))
        with pytest.raises(OSError, match="address already in use"):
            await relay.start()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", relay.port or 1)


async def test_it_ends_with_the_relay() -> None:
    async with running(replace(settings_of("a"), manage=LOCAL)) as relay:
        port = URL(relay.management_url).port
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


def test_what_the_docs_say_of_it() -> None:
    section = (
        (DOCS / "self-hosted.md").read_text().partition("## The management page")[2].partition("\n## ")[0]
    )
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    settings = parse_settings(f"{text}state: /var/lib/relay\n", {})
    assert settings.manage == ("127.0.0.1", 8081)
    assert settings.public_url == "https://hooks.example.org"
    assert f"`{MUTATION_HEADER}`" in section
    assert "http://{}:{}/".format(*settings.manage) in section
