"""How connections to HTTP targets are opened: which addresses are refused, and what TLS trusts."""

import socket
import ssl
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import aiohttp

from bridge.errors import ConfigError
from bridge.targets.http_resolver import ThreadResolver

_FORBIDDEN = tuple(ip_network(text) for text in ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"))
"""Link-local, and with it the metadata services of clouds; the last is that of AWS on IPv6."""

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[object, ...]]
"""One answer of getaddrinfo."""


class ForbiddenAddress(OSError):
    """A connection to this address is never opened."""


def is_forbidden(address: str) -> bool:
    """Whether an IP address is link-local or a cloud's metadata service, also as IPv4 mapped into IPv6."""
    found = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return is_forbidden(str(found.ipv4_mapped))
    return any(found in network for network in _FORBIDDEN)


def open_socket(info: AddressInfo) -> socket.socket:
    """A socket for the address that is about to be connected to.

    Names and literals alike pass here after they were resolved, so a name that resolves to
    something else the second time gains nothing.

    Raises:
        ForbiddenAddress: the address is link-local or a metadata service.
    """
    family, kind, protocol, _, address = info
    if is_forbidden(str(address[0])):
        raise ForbiddenAddress(f"{address[0]} is refused")
    return socket.socket(family, kind, protocol)


def make_connector(tls: ssl.SSLContext | bool) -> aiohttp.TCPConnector:
    """The connections of one target, which bounds their number itself.

    Args:
        tls: what checks certificates; True: aiohttp's own context, made once, of the system's authorities.
    """
    return aiohttp.TCPConnector(limit=0, ssl=tls, resolver=ThreadResolver(), socket_factory=open_socket)


def tls_context(ca: Path) -> ssl.SSLContext:
    """Certificates are checked against the authorities in one PEM file, and no others.

    Raises:
        ConfigError: the file can't be read or holds no certificate.
    """
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one too
        raise ConfigError(f"can't use {ca} as certificate authority: {error.strerror or error}") from error
