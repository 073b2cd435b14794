"""The connection to NATS, and its errors in the relay's own words."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import nats
from nats.aio.client import Client
from nats.errors import Error

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.engine import EngineUnavailable
from bridge.selfhosted.resources import NatsSettings

logger = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 10.0
"""For the first connection; later ones are tried until one works."""
PING_SECONDS: Final = 5
"""Between two pings to NATS. Three without an answer, and another server is tried."""


class NatsMisconfigured(BridgeError):
    """NATS can't be used as it is set up."""

    fault = Fault.CONFIGURATION


@dataclass(frozen=True, slots=True)
class Watchers:
    """Who is told about the connection."""

    lost: Callable[[], Awaitable[None]]
    back: Callable[[], Awaitable[None]]


async def connect(settings: NatsSettings, watchers: Watchers) -> Client:
    """A connection that mends itself until it is closed.

    Raises:
        EngineUnavailable: there is none in time.
        NatsMisconfigured: a file of credentials or certificates can't be used.
    """
    last: list[Exception] = []

    async def note(error: Exception) -> None:
        last[:] = [error]
        logger.debug("NATS: %s", error)

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await nats.connect(
                list(settings.servers),
                name="relay-bridge relay",
                error_cb=note,
                disconnected_cb=watchers.lost,
                reconnected_cb=watchers.back,
                max_reconnect_attempts=-1,
                reconnect_time_wait=0.5,
                connect_timeout=5,
                ping_interval=PING_SECONDS,
                **_credentials(settings),
            )
    except (Error, TimeoutError) as error:
        why = last[0] if last else error
        raise EngineUnavailable(f"NATS can't be used: {why}") from error
    except OSError as error:  # also ssl.SSLError
        raise EngineUnavailable(f"NATS can't be used: {error.strerror or error}") from error


def _credentials(settings: NatsSettings) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if settings.user:
        given |= {"user": settings.user, "password": settings.password.reveal()}
    if settings.ca is not None:
        try:
            context = ssl.create_default_context(cafile=settings.ca)
            if settings.certificate is not None:
                context.load_cert_chain(settings.certificate, settings.key)
        except OSError as error:
            raise NatsMisconfigured(f"certificates for NATS: {error.strerror or error}") from error
        given["tls"] = context
    return given


@contextmanager
def translated() -> Iterator[None]:
    """Has NATS's errors come out as EngineUnavailable."""
    try:
        yield
    except (Error, TimeoutError, OSError) as error:
        raise EngineUnavailable(f"NATS: {str(error) or type(error).__name__}") from error
