"""One connection: what its phases may take, and how it ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from bridge.errors import CredentialsRefused, RelayError
from bridge.relay.frames import encode_webhook
from bridge.relay.protocol import ClientProtocol
from bridge.relay.resolver import Resolver
from bridge.relay.session import DRAIN_BYTES, Callbacks, Patience, Session
from bridge.relay.transport import Endpoint, MalformedMessage
from bridge.secret import Secret
from bridge.webhook import Webhook
from tests.support.relay import KEY, SECRET, ScriptedRelay, a_webhook, scripted_relay
from tests.support.waiting import eventually


@pytest.fixture
async def relay() -> AsyncIterator[ScriptedRelay]:
    async with scripted_relay() as relay:
        yield relay


class Ear:
    """What a session told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def callbacks(self) -> Callbacks:
        return Callbacks(
            opened=lambda: self.heard.append("opened"),
            subscribed=lambda to: self.heard.append(f"subscribed {','.join(to.names)}"),
            webhook=self._webhook,
            bad_frame=lambda code, _reason, _data: self.heard.append(code),
            acknowledged=lambda webhook_id: self.heard.append(f"acknowledged {webhook_id}"),
        )

    def _webhook(self, webhook: Webhook) -> None:
        self.heard.append(f"webhook {webhook.id}")


def session_of(relay: ScriptedRelay, ear: Ear, *, secret: str = SECRET, max_frame: int = 100_000) -> Session:
    endpoint = Endpoint(relay.url, max_frame, None, ping_interval=20, ping_timeout=20, close_timeout=1)
    protocol = ClientProtocol(KEY, Secret(secret), None)
    return Session(endpoint, Resolver(), protocol, Patience(5, 5, 5), ear.callbacks())


async def test_a_whole_life(relay: ScriptedRelay) -> None:
    ear = Ear()
    session = session_of(relay, ear)
    life = asyncio.create_task(session.run())
    await eventually(lambda: relay.subscribers)
    await relay.send(a_webhook(1), "garbage")
    await eventually(lambda: "garbage" in ear.heard)
    session.leave()
    await life
    assert ear.heard == ["opened", "subscribed doorbell", "webhook 1", "garbage"]
    assert session.subscribed_at is not None
    assert session.last_message is not None
    assert session.last_message >= session.subscribed_at
    await eventually(lambda: relay.close_codes == [1000])


async def test_left_before_it_began_it_shows_no_credentials(relay: ScriptedRelay) -> None:
    session = session_of(relay, Ear())
    session.leave()
    async with asyncio.timeout(2):
        await session.run()
    assert relay.credentials == []


async def test_left_twice_it_ends_once(relay: ScriptedRelay) -> None:
    session = session_of(relay, Ear())
    life = asyncio.create_task(session.run())
    await eventually(lambda: relay.subscribers)
    session.leave()
    await asyncio.sleep(0)
    session.leave()
    await life
    await eventually(lambda: relay.close_codes == [1000])


class Flood:
    """A conversation that, once subscribed, sends and sends, and doesn't hear that it is closed."""

    def __init__(self, relay: ScriptedRelay, frame: str) -> None:
        self._relay = relay
        self._frame = frame

    async def converse(self, connection: ServerConnection) -> None:
        conversation = asyncio.create_task(self._relay.converse(connection))
        await eventually(lambda: connection in self._relay.subscribers)
        transport = connection.transport
        frames = self._compressed(connection) * 100
        while not transport.is_closing():
            if transport.get_write_buffer_size() < 1_000_000:
                transport.write(frames)
            await asyncio.sleep(0)
        await asyncio.wait([conversation])

    def _compressed(self, connection: ServerConnection) -> bytes:
        """The frame as it looks once the compressor knows it: then it looks the same every time."""
        protocol = connection.protocol
        for _ in range(3):
            protocol.send_text(self._frame.encode())
            sent = b"".join(protocol.data_to_send())
            connection.transport.write(sent)
        assert len(sent) < len(self._frame) / 100
        return sent


async def test_a_relay_that_goes_on_sending_is_cut_off(relay: ScriptedRelay) -> None:
    ear, size = Ear(), 200_000
    frame = encode_webhook(a_webhook(1, body="x" * size))
    relay.conversation = Flood(relay, frame).converse
    session = session_of(relay, ear, max_frame=2 * size)
    life = asyncio.create_task(session.run())
    async with asyncio.timeout(5):
        await eventually(lambda: "webhook 1" in ear.heard)
        before = len(ear.heard)
        session.leave()
        await life
    assert session.cut_off
    assert len(ear.heard) - before <= DRAIN_BYTES // size + 1, "no more than the limit, and the frame at it"


async def test_what_was_on_its_way_is_not_cut_off(relay: ScriptedRelay) -> None:
    ear = Ear()
    session = session_of(relay, ear)
    life = asyncio.create_task(session.run())
    await eventually(lambda: relay.subscribers)
    await relay.send(*(a_webhook(number, body="x" * 50_000) for number in range(100)))
    session.leave()
    await life
    assert ear.heard[2:] == [f"webhook {number}" for number in range(100)]
    assert not session.cut_off


async def test_refused_credentials_close_the_connection(relay: ScriptedRelay) -> None:
    session = session_of(relay, Ear(), secret="wrong")
    with pytest.raises(CredentialsRefused, match="no such key"):
        await session.run()
    assert session.subscribed_at is None
    await eventually(lambda: relay.close_codes == [1000])


async def test_the_reason_of_the_relay_is_told_escaped(relay: ScriptedRelay) -> None:
    relay.conversation = relay.greet_and_close
    with pytest.raises(RelayError, match=r"closed the connection \(1011 .*\\x1b\[31mred\)"):
        await session_of(relay, Ear()).run()


async def test_a_message_over_the_limit_ends_it(relay: ScriptedRelay) -> None:
    life = asyncio.create_task(session_of(relay, Ear(), max_frame=1000).run())
    await eventually(lambda: relay.subscribers)
    await relay.send(a_webhook(1, body="x" * 2000))
    with pytest.raises(MalformedMessage, match="limit"):
        await life
    await eventually(lambda: relay.close_codes == [1009])


async def test_a_message_that_inflates_over_the_limit_ends_it(relay: ScriptedRelay) -> None:
    life = asyncio.create_task(session_of(relay, Ear(), max_frame=1000).run())
    await eventually(lambda: relay.subscribers)
    await relay.send(a_webhook(1, body=" " * 50_000_000))
    with pytest.raises(MalformedMessage):
        await life


async def test_a_message_in_endless_pieces_ends_it(relay: ScriptedRelay) -> None:
    life = asyncio.create_task(session_of(relay, Ear()).run())
    await eventually(lambda: relay.subscribers)
    sender = asyncio.create_task(relay.subscribers[0].send(["{"] + [""] * 20_000))
    with pytest.raises(MalformedMessage, match="fragments"):
        await life
    await eventually(lambda: relay.close_codes == [1009])
    with suppress(ConnectionClosed):
        await sender
