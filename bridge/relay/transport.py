"""Opening a WebSocket to a relay, and putting what goes wrong with it into this package's words."""

import logging
import ssl
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    SecurityError,
    WebSocketException,
)
from websockets.uri import WebSocketURI, parse_uri

from bridge.errors import ConfigError, RedirectRefused, RelayError
from bridge.relay.resolver import Resolver

NOT_UTF8: Final = 1007
TOO_BIG: Final = 1009

# At DEBUG the library logs every frame, the one with the credentials included.
_library_logger = logging.getLogger("bridge.relay.websockets")
_library_logger.setLevel(logging.INFO)


class MalformedMessage(RelayError):
    """The relay sent a message that is not UTF-8 or over the limit; such a connection can't go on."""


class UntrustedCertificate(RelayError):
    """The relay shows a certificate that this machine does not trust."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a relay is, and how to hold the line to it. Times are seconds, sizes bytes."""

    url: str = field(repr=False)  # it may hold a password
    max_frame: int
    ssl: ssl.SSLContext | None
    ping_interval: float
    ping_timeout: float
    close_timeout: float

    def __post_init__(self) -> None:
        """Refuse a URL that no attempt could use.

        Raises:
            ConfigError: it is no WebSocket URL; the message doesn't repeat it, it may hold a password.
        """
        try:
            secure = parse_uri(self.url).secure
        except InvalidURI as error:
            raise ConfigError(f"the relay's URL can't be used: {error.msg}") from None
        except ValueError:
            raise ConfigError("the relay's URL can't be used: it is no URL") from None
        if self.ssl is not None and not secure:
            raise ConfigError("the relay's URL can't be used: it has a TLS context and is not wss://")


async def open_connection(endpoint: Endpoint, resolver: Resolver) -> ClientConnection:
    """A WebSocket that finished its handshake. The caller bounds the time.

    Raises:
        RelayError: there is none; `retry_after` says what the relay asked for.
        RedirectRefused: it is said to be elsewhere.
    """
    uri = parse_uri(endpoint.url)
    if not getproxies():  # behind a proxy, it is the proxy that resolves
        await resolver.check(uri.host, uri.port)
    try:
        return await _Connect(
            endpoint.url,
            max_size=endpoint.max_frame,
            open_timeout=None,
            ping_interval=endpoint.ping_interval,
            ping_timeout=endpoint.ping_timeout,
            close_timeout=endpoint.close_timeout,
            logger=_library_logger,
            ssl=endpoint.ssl or (True if uri.secure else None),
        )
    except (OSError, ValueError, ImportError, WebSocketException) as error:
        # ValueError: a host name that IDNA refuses. ImportError: a SOCKS proxy, which needs one more library.
        raise _not_opened(error) from None


def connection_ended(error: ConnectionClosed) -> RelayError:
    """The reason why a connection ended, from either side."""
    if error.sent is not None and error.sent.code == TOO_BIG:
        return MalformedMessage(_shown(f"a message is over a limit: {error.sent.reason}"))
    if error.sent is not None and error.sent.code == NOT_UTF8:
        return MalformedMessage("a message is not UTF-8")
    if error.rcvd is not None and error.rcvd_then_sent:
        return RelayError(_shown(f"the relay closed the connection ({error.rcvd})"))
    if error.sent is not None:
        return RelayError(_shown(f"the connection was given up ({error.sent})"))
    return RelayError("the connection broke")


class _Connect(connect):
    """A connection attempt that never takes the credentials anywhere but where the URL says."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        try:
            found = super().process_redirect(exc)
        except (InvalidURI, ValueError):  # `https:`, mostly
            return RedirectRefused("the relay redirects to something else than a WebSocket")
        if isinstance(found, SecurityError):
            return RedirectRefused("the relay redirects to a connection without TLS")
        if isinstance(found, str) and _origin(parse_uri(found)) != _origin(self.ws_uri):
            host = urlsplit(found).hostname
            return RedirectRefused(_shown(f"the relay redirects to another origin, at {host}"))
        return found


def _origin(uri: WebSocketURI) -> tuple[bool, str, int]:
    return uri.secure, uri.host, uri.port


def _not_opened(error: Exception) -> RelayError:
    # An exception's own text may hold the URL of the relay or of a proxy, with the password in it.
    match error:
        case InvalidStatus():
            headers = error.response.headers
            wait = parse_retry_after(headers.get("Retry-After"), time.time())
            return RelayError(f"the relay answered HTTP {error.response.status_code}", retry_after=wait)
        case InvalidProxy():
            return RelayError("the proxy's URL can't be used")
        case ssl.SSLCertVerificationError():
            return UntrustedCertificate(f"the relay's certificate is not trusted: {error.verify_message}")
        case OSError():
            return RelayError(_shown(f"no connection: {error.strerror or error}"))
        case _:
            return RelayError(f"the handshake failed: {type(error).__name__}")


def parse_retry_after(text: str | None, now: float) -> float | None:
    """Seconds to wait, by a Retry-After header (RFC 9110, 10.2.3); None where it can't be understood."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _shown(text: str) -> str:
    """A stranger's text, without what could steer a terminal."""
    return ascii(text[:200])[1:-1]
