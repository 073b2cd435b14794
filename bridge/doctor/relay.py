"""Checks of the relay. None subscribes: a subscription could take webhooks from the bridge."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from bridge.config.model import RelaySettings
from bridge.doctor.finding import Check, Finding, Scribe
from bridge.errors import CredentialsRefused, FrameError, RelayError
from bridge.relay.entries import Connected, Directory
from bridge.relay.protocol import ClientProtocol, ClientState, Refused, Send
from bridge.relay.resolver import Resolver
from bridge.relay.rest import RelayRest, base_url
from bridge.relay.transport import Endpoint, UntrustedCertificate, connection_ended, open_connection

OPEN_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 10.0
MOST_SECONDS_APART: Final = 30.0
LARGEST_ANSWER: Final = 4 * 1024 * 1024


async def check_relay(settings: RelaySettings, status: Mapping[str, Any] | None) -> list[Finding]:
    """All of it.

    Args:
        settings: where and who.
        status: the running daemon's; None where none is known to run.
    """
    write = Scribe(base_url(settings.url))
    by_socket, by_rest = await asyncio.gather(_socket(settings, write), _rest(settings, status, write))
    return [*by_socket, *by_rest]


async def _socket(settings: RelaySettings, write: Scribe) -> list[Finding]:
    """Whether a connection can be opened and the relay takes the credentials."""
    endpoint = Endpoint(settings.url, settings.max_frame, None, 20.0, 20.0, 2.0)
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            connection = await open_connection(endpoint, Resolver())
    except UntrustedCertificate as error:
        return [
            write.good(Check.RELAY_REACHED),
            write.bad(Check.RELAY_TLS, str(error)),
            write.skipped(Check.RELAY_CREDENTIALS, "nothing is told to a stranger"),
        ]
    except (RelayError, TimeoutError) as error:
        return [
            write.bad(Check.RELAY_REACHED, str(error) or f"no connection within {OPEN_SECONDS:g} s"),
            *(write.skipped(one, "not reached") for one in (Check.RELAY_TLS, Check.RELAY_CREDENTIALS)),
        ]
    try:
        credentials = await _credentials(connection, settings, write)
        await connection.close()
    finally:
        connection.transport.abort()
    return [write.good(Check.RELAY_REACHED), _encryption(settings, write), credentials]


def _encryption(settings: RelaySettings, write: Scribe) -> Finding:
    if urlsplit(settings.url).scheme == "wss":
        return write.good(Check.RELAY_TLS)
    return write.skipped(Check.RELAY_TLS, "ws:// is not encrypted: for this machine or a network of your own")


async def _credentials(connection: ClientConnection, settings: RelaySettings, write: Scribe) -> Finding:
    """Authenticate, and go no further."""
    protocol = ClientProtocol(settings.key, settings.secret, settings.buckets)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await connection.send(protocol.opened())
            await _authenticated(connection, protocol)
    except TimeoutError:
        return write.bad(Check.RELAY_CREDENTIALS, f"no answer to them within {ANSWER_SECONDS:g} s")
    except ConnectionClosed as error:
        return write.bad(Check.RELAY_CREDENTIALS, str(connection_ended(error)))
    except CredentialsRefused as error:
        return write.bad(Check.RELAY_CREDENTIALS, str(error))
    return write.good(Check.RELAY_CREDENTIALS)


async def _authenticated(connection: ClientConnection, protocol: ClientProtocol) -> None:
    while protocol.state is not ClientState.SUBSCRIBING:
        try:
            event = protocol.receive(await connection.recv(), time.time())
        except FrameError:
            continue
        if isinstance(event, Refused):
            raise CredentialsRefused(f"the relay refused the credentials: {event.message[:200]!a}")
        if isinstance(event, Send) and protocol.state is ClientState.AUTHENTICATING:
            await connection.send(event.text)  # the answer to a ping


async def _rest(settings: RelaySettings, status: Mapping[str, Any] | None, write: Scribe) -> list[Finding]:
    """What the relay's HTTP interface tells: not every relay has one, so its lack is no fault."""
    found: list[Finding] = []
    async with RelayRest(settings.url, settings.key, settings.secret, max_answer=LARGEST_ANSWER) as rest:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found.append(_buckets(settings.buckets, await rest.directory(), write))
        except (RelayError, TimeoutError) as error:
            found.append(write.skipped(Check.RELAY_BUCKETS, _reason(error)))
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found.append(_subscribers(settings.buckets, await rest.connected(), status, write))
        except (RelayError, TimeoutError) as error:
            found.append(write.skipped(Check.RELAY_SUBSCRIBERS, _reason(error)))
        found.append(_clock(rest, write))
    return found


def _reason(error: Exception) -> str:
    return str(error) or f"no answer within {ANSWER_SECONDS:g} s"


def _buckets(wanted: Sequence[str] | None, directory: Directory, write: Scribe) -> Finding:
    if not wanted:
        return write.skipped(Check.RELAY_BUCKETS, "the routes name none")
    missing = [one for one in wanted if not directory.knows(one)]
    if missing:
        return write.bad(Check.RELAY_BUCKETS, f"unknown: {', '.join(missing)}")
    return write.good(Check.RELAY_BUCKETS, ", ".join(wanted))


def _clock(rest: RelayRest, write: Scribe) -> Finding:
    if rest.clock is None:
        return write.skipped(Check.RELAY_CLOCK, "the relay tells no time")
    ahead = time.time() - rest.clock.now(time.monotonic())
    if abs(ahead) <= MOST_SECONDS_APART:
        return write.good(Check.RELAY_CLOCK)
    where = "ahead of" if ahead > 0 else "behind"
    return write.bad(Check.RELAY_CLOCK, f"this machine is {abs(ahead):.0f} s {where} the relay")


def _subscribers(
    wanted: Sequence[str] | None,
    connected: Sequence[Connected],
    status: Mapping[str, Any] | None,
    write: Scribe,
) -> Finding:
    """Ours can't be told from another one, but counted."""
    same = [one for one in connected if one.shares(wanted)]
    known = status is not None and status["relay"]["state"] == "subscribed"
    if len(same) > 1:
        return write.bad(Check.RELAY_SUBSCRIBERS, f"{len(same)} are subscribed: {'; '.join(map(str, same))}")
    if same and not known:
        return write.skipped(Check.RELAY_SUBSCRIBERS, f"one is, and no daemon is known here: {same[0]}")
    return write.good(Check.RELAY_SUBSCRIBERS, "this bridge alone" if known else "nobody yet")
