"""Getting into NATS: passwords, certificates, and what is said where that fails."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.secret import Secret
from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.nats import connection
from bridge.selfhosted.nats.connection import NatsMisconfigured, Watchers, connect
from bridge.selfhosted.nats.engine import fitting
from bridge.selfhosted.resources import KIB, MIB, Limits, NatsSettings
from tests.support.nats import NatsServer
from tests.support.tls import make_certificates


async def nothing() -> None:
    pass


async def gets_in(settings: NatsSettings) -> bool:
    client = await connect(settings, Watchers(nothing, nothing))
    try:
        return bool(client.is_connected)
    finally:
        await client.close()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 1.0)


async def test_a_password_lets_in_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, "authorization {user: relay, password: s3cr3t}") as server:
        settings = NatsSettings((server.url,), "relay", Secret("s3cr3t"))
        assert await gets_in(settings)
        with pytest.raises(EngineUnavailable, match="Authorization") as refused:
            await gets_in(replace(settings, password=Secret("0ther")))
        assert "0ther" not in str(refused.value)


async def test_the_certificates_of_both_sides_are_checked(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    files = f'cert_file: "{made.server_cert}", key_file: "{made.server_key}", ca_file: "{made.ca}"'
    async with NatsServer(tmp_path, f"tls {{{files}, verify: true}}") as server:
        url = server.url.replace("nats://", "tls://")
        settings = NatsSettings((url,), ca=made.ca, certificate=made.client_cert, key=made.client_key)
        assert await gets_in(settings)
        with pytest.raises(EngineUnavailable):
            await gets_in(replace(settings, certificate=None, key=None))
        with pytest.raises(EngineUnavailable):
            await gets_in(NatsSettings((url,)))


async def test_the_next_server_of_the_list_is_taken(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        assert await gets_in(NatsSettings(("nats://127.0.0.1:1", server.url)))


async def test_a_file_that_can_not_be_read_is_a_mistake_of_the_settings(tmp_path: Path) -> None:
    with pytest.raises(NatsMisconfigured, match="No such file"):
        await gets_in(NatsSettings(("nats://127.0.0.1:1",), ca=tmp_path / "none.pem"))


@pytest.mark.parametrize(
    ("max_payload", "body"), [(64 * MIB, 3 * MIB), (MIB, 672 * KIB), (256 * KIB, 96 * KIB)]
)
def test_a_webhook_fits_into_a_message(max_payload: int, body: int) -> None:
    limits = fitting(Limits(), max_payload)
    assert limits.body == body
    assert limits.body_json <= max_payload


def test_a_server_for_tiny_messages_is_refused() -> None:
    with pytest.raises(NatsMisconfigured, match="max_payload"):
        fitting(Limits(), 100 * KIB)
