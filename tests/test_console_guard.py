"""Strangers' attacks on the console, by real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bridge.config.model import ConsoleSettings
from bridge.console.failures import ALLOWED
from bridge.console.guard import COOKIE
from bridge.secret import Secret
from bridge.web.origin import HEADERS
from tests.support.console import TOKEN, Parts, asking, running_console, running_parts

PROTECTED = ConsoleSettings(("127.0.0.1", 0), token=Secret(TOKEN))
OURS = {"X-Relay-Bridge": "1"}
EVERYTHING = ("/", "/events", "/dead", "/webhooks/1", "/healthz", "/readyz", "/metrics")


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    async with running_parts(tmp_path) as parts:
        yield parts


@pytest.fixture
async def session(parts: Parts) -> AsyncIterator[aiohttp.ClientSession]:
    """To a console that asks for no token."""
    async with running_console(parts) as url, asking(url) as session:
        yield session


@pytest.fixture
async def protected(parts: Parts) -> AsyncIterator[aiohttp.ClientSession]:
    """To a console that asks for a token."""
    async with running_console(parts, PROTECTED) as url, asking(url) as session:
        yield session


async def status(
    session: aiohttp.ClientSession, path: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> int:
    async with session.request(method, path, headers=headers, allow_redirects=False) as response:
        return response.status


def origin(session: aiohttp.ClientSession) -> str:
    url = session._base_url  # aiohttp shows it nowhere else
    assert isinstance(url, URL)
    return str(url.origin())


@pytest.mark.parametrize("path", [*EVERYTHING, "/no-such-page"])
async def test_a_rebound_name_reaches_nothing(session: aiohttp.ClientSession, path: str) -> None:
    port = URL(origin(session)).port
    assert await status(session, path, {"Host": f"evil.example:{port}"}) == 421


@pytest.mark.parametrize("path", ["/dead/retry", "/dead/purge", "/reload", "/login"])
async def test_a_rebound_name_changes_nothing(session: aiohttp.ClientSession, path: str) -> None:
    port = URL(origin(session)).port
    assert await status(session, path, OURS | {"Host": f"evil.example:{port}"}, "POST") == 421


async def test_a_request_with_two_hosts_is_refused(session: aiohttp.ClientSession) -> None:
    url = URL(origin(session))
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{url.port}\r\nHost: evil.example\r\n\r\n"
    writer.write(head.encode())
    line = await reader.readline()
    writer.close()
    assert line.split()[1] in {b"400", b"421"}


@pytest.mark.parametrize(
    "stranger",
    ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://localhost:1", "http://127.0.0.1"],
)
async def test_a_page_of_another_origin_reads_and_changes_nothing(
    session: aiohttp.ClientSession, stranger: str
) -> None:
    headers = {"Origin": stranger.format(port=URL(origin(session)).port)}
    for path in EVERYTHING:
        assert await status(session, path, headers) == 403, path
    for path in ("/dead/retry", "/dead/purge", "/reload", "/login"):
        assert await status(session, path, OURS | headers, "POST") == 403, path
    assert await status(session, "/reload", headers, "OPTIONS") == 403


async def test_what_another_site_embeds_is_refused_and_a_link_is_not(session: aiohttp.ClientSession) -> None:
    for site in ("cross-site", "same-site"):
        for path in EVERYTHING:
            assert await status(session, path, {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}) == 403
        link = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert await status(session, "/", link) == 200
        assert await status(session, "/", link | {"Sec-Fetch-Dest": "iframe"}) == 403
        assert await status(session, "/dead", link) == 403


async def test_a_mutation_needs_the_header_that_other_origins_can_not_send(
    session: aiohttp.ClientSession,
) -> None:
    for path in ("/dead/retry", "/dead/purge", "/reload"):
        assert await status(session, path, {"Origin": origin(session)}, "POST") == 403
    headers = OURS | {"Origin": origin(session)}
    assert await status(session, "/reload", headers, "POST") == 200
    assert await status(session, "/reload", OURS, "GET") == 405


async def test_every_response_says_what_a_browser_may_do_with_it(session: aiohttp.ClientSession) -> None:
    for path, headers in [(path, {}) for path in (*EVERYTHING, "/no")] + [("/", {"Origin": "http://evil"})]:
        async with session.get(path, headers=headers) as response:
            assert HEADERS.items() <= dict(response.headers).items(), path
            policy = response.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "unsafe" not in policy
            assert "Access-Control-Allow-Origin" not in response.headers
            assert "Server" not in response.headers


# The token


async def test_without_the_token_there_is_the_login_form_and_the_proof_of_life(
    protected: aiohttp.ClientSession,
) -> None:
    for path in EVERYTHING:
        assert await status(protected, path) == (200 if path in {"/", "/healthz"} else 401), path
    assert await status(protected, "/reload", OURS, "POST") == 401
    async with protected.get("/") as response:
        page = await response.text()
    assert 'name="token"' in page
    assert "<script>" not in page


async def test_the_token_by_header(protected: aiohttp.ClientSession) -> None:
    for scheme in ("Bearer", "bearer"):
        assert await status(protected, "/metrics", {"Authorization": f"{scheme} {TOKEN}"}) == 200
    for wrong in ("Bearer wrong", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN}x", "Bearer ", "Bearer \xff"):
        assert await status(protected, "/metrics", {"Authorization": wrong}) == 401, wrong


async def test_signing_in_gives_a_cookie_that_scripts_can_not_read(protected: aiohttp.ClientSession) -> None:
    headers = {"Origin": origin(protected)}
    async with protected.post("/login", data={"token": "wrong"}, headers=headers) as response:
        assert response.status == 403
        assert not response.cookies
    async with protected.post(
        "/login", data={"token": TOKEN}, headers=headers, allow_redirects=False
    ) as response:
        assert (response.status, response.headers["Location"]) == (303, "/")
        cookie = response.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    known = {"Cookie": f"{COOKIE}={cookie.value}"}
    assert await status(protected, "/metrics", known) == 200
    assert await status(protected, "/reload", known | OURS, "POST") == 200
    assert await status(protected, "/reload", known, "POST") == 403
    assert await status(protected, "/metrics", {"Cookie": f"{COOKIE}={cookie.value}0"}) == 401
    assert await status(protected, "/metrics", {"Cookie": f"{COOKIE}={TOKEN}"}) == 401


async def test_who_guesses_is_slowed_down_and_who_is_signed_in_is_not(
    protected: aiohttp.ClientSession,
) -> None:
    async with protected.post("/login", data={"token": TOKEN}, allow_redirects=False) as response:
        known = {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}
    wrong = {"Authorization": "Bearer wrong"}
    assert [await status(protected, "/metrics", wrong) for _ in range(ALLOWED)] == [401] * ALLOWED
    async with protected.get("/metrics", headers=wrong) as response:
        assert response.status == 429
        assert 0 < int(response.headers["Retry-After"]) <= 61
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert await status(protected, "/metrics", right) == 429, "else the right guess would show"
    async with protected.post("/login", data={"token": TOKEN}) as response:
        assert response.status == 429
    assert await status(protected, "/metrics", known) == 200
    assert await status(protected, "/healthz") == 200


async def test_another_token_ends_what_the_cookies_stand_for(parts: Parts) -> None:
    async with running_console(parts, PROTECTED) as url, asking(url) as session:
        async with session.post("/login", data={"token": TOKEN}, allow_redirects=False) as response:
            known = {"Cookie": f"{COOKIE}={response.cookies[COOKIE].value}"}
        assert await status(session, "/metrics", known) == 200
    changed = ConsoleSettings(("127.0.0.1", 0), token=Secret("another"))
    async with running_console(parts, changed) as url, asking(url) as session:
        assert await status(session, "/metrics", known) == 401


async def test_requests_are_bounded(session: aiohttp.ClientSession) -> None:
    async with session.post("/dead/retry", data=b'"' + b"x" * 70_000 + b'"', headers=OURS) as response:
        assert response.status == 413
