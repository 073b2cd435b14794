"""The relay's public side: the address of a bucket, and a webhook sent there."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.config.model import RelaySettings
from bridge.errors import CredentialsRefused, RelayError
from bridge.relay.public import NoAddress, address, post
from bridge.secret import Secret
from tests.support.deliveries import webhook
from tests.support.http import RecordingServer, recording_server
from tests.support.relays import KEY, SECRET, running_relay
from tests.support.rest import ScriptedRest, scripted_rest

GARAGE = {
    "id": "1593",
    "name": "garage",
    "inputs": [{"id": "b90f", "name": "left"}, {"id": "c/1", "name": "right"}],
    "outputs": [],
}


@pytest.fixture(name="relay")
async def _relay() -> AsyncIterator[ScriptedRest]:
    async with scripted_rest() as relay:
        relay.buckets = [GARAGE, {"id": "77", "name": "empty"}]
        yield relay


@pytest.fixture(name="server")
async def _server() -> AsyncIterator[RecordingServer]:
    async with recording_server() as server:
        yield server


@pytest.mark.parametrize(
    ("bucket", "name", "where"),
    [("garage", "", "b90f"), ("1593", "", "b90f"), ("garage", "left", "b90f"), ("garage", "right", "c%2F1")],
)
async def test_the_address_is_that_of_an_input(
    relay: ScriptedRest, bucket: str, name: str, where: str
) -> None:
    found = await address(relay.settings, bucket, name)
    assert found == f"http://127.0.0.1:{relay.port}/v1/webhooks/{where}"


@pytest.mark.parametrize(
    ("bucket", "name", "why"),
    [
        ("cellar", "", "the relay has no bucket 'cellar'"),
        ("", "", "the relay has no bucket ''"),
        ("garage", "middle", "bucket 'garage' has no input 'middle'"),
        ("empty", "", "bucket 'empty' has no input ''"),
    ],
)
async def test_what_the_relay_has_not_is_said(relay: ScriptedRest, bucket: str, name: str, why: str) -> None:
    with pytest.raises(NoAddress) as caught:
        await address(relay.settings, bucket, name)
    assert str(caught.value) == why


async def test_it_is_the_address_of_a_real_relay() -> None:
    async with running_relay("doorbell", "shop") as relay:
        good = RelaySettings(relay.socket_url, KEY, Secret(SECRET))
        assert await address(good, "shop") == relay.webhook_url("shop")
        with pytest.raises(CredentialsRefused):
            await address(RelaySettings(relay.socket_url, KEY, Secret("wrong")), "shop")


async def test_a_webhook_is_sent_as_its_sender_would(server: RecordingServer) -> None:
    server.status = 404
    made = webhook(
        b"\xffbody",
        method="PUT",
        destination="/a b/%2e?x",
        query_string="q=1&q=%20",
        headers={
            "content-type": ("text/plain",),
            "x-kind": ("a", "b"),
            "host": ("evil",),
            "content-length": ("7",),
            "transfer-encoding": ("chunked",),
        },
    )
    assert await post(made, f"{server.url}/v1/webhooks/b90f") == 404
    (request,) = server.requests
    assert (request.method, request.path) == ("PUT", "/v1/webhooks/b90f/a%20b/%2e?q=1&q=%20")
    assert request.body == b"\xffbody"
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["host"] in server.url
    assert request.headers["content-length"] == "5"
    assert "transfer-encoding" not in request.headers
    assert "authorization" not in request.headers


async def test_the_destination_of_an_output_is_no_path(server: RecordingServer) -> None:
    await post(webhook(destination="http://localhost:8080/x"), f"{server.url}/v1/webhooks/b90f/")
    assert server.requests[0].path == "/v1/webhooks/b90f"


async def test_a_redirect_is_not_followed(server: RecordingServer) -> None:
    server.status, server.headers = 307, {"Location": f"{server.url}/elsewhere"}
    assert await post(webhook(), server.url) == 307
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "nonsense", "http://", "ftp://127.0.0.1/"])
async def test_an_address_that_does_not_serve_is_an_error(url: str) -> None:
    with pytest.raises(RelayError, match="public address can't be reached"):
        await post(webhook(), url)


@pytest.mark.parametrize("fields", [{"method": "A\r\nB"}, {"headers": {"x": ("a\r\nb",)}}])
async def test_what_no_request_can_hold_is_an_error(server: RecordingServer, fields: dict[str, Any]) -> None:
    with pytest.raises(RelayError):
        await post(webhook(**fields), server.url)
    assert server.requests == []
