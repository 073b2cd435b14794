"""Reverse proxies in front of the relay: from whom it believes who the client is, and what they say of it."""

import logging
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.selfhosted.resources import Network

logger = logging.getLogger(__name__)

_FOR: Final = "X-Forwarded-For"
_PROTO: Final = "X-Forwarded-Proto"
_MOST: Final = 20
"""Proxies in a row."""


class Proxies:
    """Gives handlers each request as if its client had sent it without a proxy.

    Args:
        trusted: networks whose word counts.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted
        self._told = False

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """What an untrusted peer says of others is only a header like any other."""
        peer = request.remote or ""
        if is_in(peer, self._trusted):
            client = client_of(peer, ",".join(request.headers.getall(_FOR, [])), self._trusted)
            scheme = request.headers.get(_PROTO, "").rpartition(",")[2].strip().lower()
            scheme = scheme if scheme in ("http", "https") else request.scheme
            request = request.clone(remote=client, scheme=scheme)
        elif _FOR in request.headers:
            self._tell(peer)
        return await handler(request)

    def _tell(self, peer: str) -> None:
        """Strangers may send the header too, but not from such an address."""
        address = _parsed(peer)
        if address is not None and address.is_private and not self._told:
            self._told = True
            logger.warning(
                "requests come through %s, which is not in trusted_proxies: all clients are one", peer
            )


def client_of(peer: str, forwarded: str, trusted: Sequence[Network]) -> str:
    """The nearest address that is not a trusted proxy's.

    Each proxy adds at the end whom it had the request from; what is left of the first untrusted address,
    anybody can have made up.

    Args:
        peer: who is connected.
        forwarded: the value of `X-Forwarded-For`.
        trusted: networks of proxies.
    """
    client = peer
    for entry in reversed(forwarded.split(",")[-_MOST:]):
        address = _parsed(_without_port(entry.strip()))
        if address is None or not is_in(client, trusted):
            break
        client = str(address)
    return client


def is_in(text: str, networks: Sequence[Network]) -> bool:
    """Whether an address is in one of some networks."""
    address = _parsed(text)
    return address is not None and any(address in one for one in networks)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _without_port(entry: str) -> str:
    """Some proxies write `192.0.2.1:4711` and `[2001:db8::1]:4711`."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
