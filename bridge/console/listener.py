"""Sockets to listen at: on this machine, or at an address that the token protects."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.errors import BridgeError, Fault
from bridge.web.hosts import is_loopback

MOST_CONNECTIONS: Final = 64
"""At once: strangers must not use up what the daemon needs for its targets."""
SOCKET_MODE: Final = 0o660
"""The user's, and the group's: who may look is who is in it."""


class ListenerError(BridgeError):
    """The console can't listen where it shall."""

    fault = Fault.SYSTEM


async def bind(listen: tuple[str, int] | Path, *, protected: bool) -> list[socket.socket]:
    """Sockets for an address.

    Args:
        listen: host and port (0: any that is free), or the path of a Unix socket.
        protected: whether a token is asked for.

    Raises:
        ListenerError: it can't be had, or other machines could connect with no token.
    """
    try:
        if isinstance(listen, Path):
            return [_bind_path(listen)]
        addresses = await _resolve(*listen)
        if not protected and not all(is_loopback(address[0]) for _, address in addresses):
            raise ListenerError("other machines could connect there, which takes a token")
        return _bind_all(addresses)
    except OSError as error:
        raise ListenerError(error.strerror or str(error)) from error


async def serve(server: web.Server, sockets: Sequence[socket.socket]) -> list[asyncio.Server]:
    """Accept connections, at most `MOST_CONNECTIONS` at once."""

    def accept() -> asyncio.Protocol:
        return server() if len(server.connections) < MOST_CONNECTIONS else _TurnedAway()

    loop = asyncio.get_running_loop()
    return [await loop.create_server(accept, sock=one) for one in sockets]


class _TurnedAway(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """What a host name means; each address once."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return list(dict.fromkeys((family, (str(address[0]), port)) for family, *_, address in found))


def _bind_all(addresses: Sequence[tuple[socket.AddressFamily, tuple[str, int]]]) -> list[socket.socket]:
    with ExitStack() as undo:
        bound = [
            undo.enter_context(socket.create_server(address, family=family)) for family, address in addresses
        ]
        undo.pop_all()
    return bound


def _bind_path(path: Path) -> socket.socket:
    """A Unix socket, in the place of one that a dead process left; no other file is removed."""
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        path.unlink()
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        path.chmod(SOCKET_MODE)  # nobody can connect before it listens
    except OSError:
        bound.close()
        raise
    return bound
