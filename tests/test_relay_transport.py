"""Opening a connection: where the credentials may go, whom to trust, and how a failure reads."""

import ssl
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection

from bridge.errors import ConfigError, RedirectRefused, RelayError
from bridge.relay.resolver import Resolver
from bridge.relay.transport import Endpoint, open_connection, parse_retry_after
from tests.support.relay import ScriptedRelay, scripted_relay
from tests.support.tls import Certificates, make_certificates


def endpoint(url: str, tls: ssl.SSLContext | None = None) -> Endpoint:
    return Endpoint(url, 1_000_000, tls, ping_interval=20, ping_timeout=20, close_timeout=1)


async def opened(url: str, tls: ssl.SSLContext | None = None) -> ClientConnection:
    return await open_connection(endpoint(url, tls), Resolver())


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with scripted_relay() as relay:
        yield relay


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def secure_relay(certificates: Certificates) -> AsyncIterator[ScriptedRelay]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.server_cert, certificates.server_key)
    async with scripted_relay(tls=tls) as relay:
        yield relay


def trusting(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@relay.example",
        "ws://user:hunter2@",
        "ws://user:hunter2@relay.example:port/",
        "ws://user:hunter2@relay.example:99999/",
        "ws://hunter2@relay.example/",
        "ws://[hunter2",
        "hunter2",
        "",
    ],
)
def test_a_url_that_can_not_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        endpoint(url)
    assert "hunter2" not in str(caught.value)


def test_a_tls_context_needs_a_tls_url() -> None:
    with pytest.raises(ConfigError, match="wss://"):
        endpoint("ws://relay.example/", ssl.create_default_context())


@pytest.mark.parametrize("location", ["/v2/socket", "v2", "ws://127.0.0.1:{port}/v2?x=1"])
async def test_a_redirect_within_the_relay_is_followed(relay: ScriptedRelay, location: str) -> None:
    relay.http_answers = [(HTTPStatus.FOUND, {"Location": location.format(port=relay.port)})]
    connection = await opened(relay.url)
    await connection.close()
    assert relay.handshakes == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_another_origin_is_refused(relay: ScriptedRelay, status: int) -> None:
    async with scripted_relay() as thief:
        relay.http_answers = [(HTTPStatus(status), {"Location": thief.url})]
        with pytest.raises(RedirectRefused, match="another origin"):
            await opened(relay.url)
        assert thief.handshakes == 0


@pytest.mark.parametrize(
    "location", ["https://127.0.0.1/", "ws://example.invalid/\x1b[31m", "ws://[", "mailto:x", "ws://h:port/"]
)
async def test_any_other_redirect_is_refused(relay: ScriptedRelay, location: str) -> None:
    relay.http_answers = [(HTTPStatus.FOUND, {"Location": location})]
    with pytest.raises(RelayError) as caught:
        await opened(relay.url)
    assert str(caught.value).isprintable()
    assert relay.handshakes == 1


async def test_a_redirect_away_from_tls_is_refused(
    secure_relay: ScriptedRelay, certificates: Certificates
) -> None:
    async with scripted_relay() as plain:
        secure_relay.http_answers = [(HTTPStatus.FOUND, {"Location": plain.url})]
        with pytest.raises(RedirectRefused, match="without TLS"):
            await opened(secure_relay.url, trusting(certificates.ca))
        assert plain.handshakes == 0


async def test_endless_redirects_end(relay: ScriptedRelay) -> None:
    relay.http_answers = [(HTTPStatus.FOUND, {"Location": "/again"})] * 100
    with pytest.raises(RelayError):
        await opened(relay.url)
    assert relay.handshakes < 20


@pytest.mark.parametrize("status", [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE])
async def test_what_the_relay_asks_for_is_passed_on(relay: ScriptedRelay, status: HTTPStatus) -> None:
    relay.http_answers = [(status, {"Retry-After": "77"})]
    with pytest.raises(RelayError, match=f"HTTP {status.value}") as caught:
        await opened(relay.url)
    assert caught.value.retry_after == 77.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("9" * 5000, 999_999_999.0),
        (formatdate(1090, usegmt=True), 90.0),
        (formatdate(900, usegmt=True), 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, now=1000.0) == seconds


async def test_certificates_are_verified(secure_relay: ScriptedRelay, certificates: Certificates) -> None:
    with pytest.raises(RelayError, match="certificate is not trusted"):
        await opened(secure_relay.url)
    connection = await opened(secure_relay.url, trusting(certificates.ca))
    await connection.close()
    assert secure_relay.handshakes == 1


async def test_tls_spoken_to_a_plain_relay_is_a_failure(relay: ScriptedRelay) -> None:
    with pytest.raises(RelayError, match="no connection"):
        await opened(relay.url.replace("ws:", "wss:"))


async def test_nobody_listens() -> None:
    async with scripted_relay() as gone:
        pass
    with pytest.raises(RelayError, match="no connection"):
        await opened(gone.url)


async def test_a_proxy_s_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "ftp://user:hunter2@proxy.invalid")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(RelayError) as caught:
        await opened("ws://relay.invalid/")
    assert "hunter2" not in str(caught.value)
