"""Which names a server may be called by: a page of a stranger must not reach it by a name of its own.

A browser lets a page read what comes from the page's own origin, so a stranger's host name that is made to
mean 127.0.0.1 (DNS rebinding) would open the server to the stranger's page. An address can't be rebound.
"""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Final

_HOST: Final = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?"
)
HTTP_PORT: Final = 80


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host; a name other than `localhost` may be anything."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_own(header: str, listen: tuple[str, int] | Path) -> bool:
    """Whether a Host header names the server.

    Args:
        header: `name`, `name:port`, `address:port` or `[address]:port`.
        listen: the address and port that are listened at, or a Unix socket: there, somebody else's port
            leads here (`ssh -L`).
    """
    found = _HOST.fullmatch(header)
    if found is None:
        return False
    host = found["host"].strip("[]").lower()
    if isinstance(listen, Path):
        return is_loopback(host)
    return int(found["port"] or HTTP_PORT) == listen[1] and _names(host, listen[0])


def _names(host: str, listened: str) -> bool:
    if is_loopback(host) or host == listened.lower():
        return True
    if is_loopback(listened):
        return False
    machine = socket.gethostname().lower()
    return host in {machine, f"{machine}.local"} or _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
