"""Asking for a service's addresses where a name server that hangs does no harm."""

import asyncio
import socket
import threading
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult


class ThreadResolver(AbstractResolver):
    """Asks in a daemon thread, since `getaddrinfo` can't be cancelled.

    In the event loop's executor a question without an answer would keep the process from ending.
    aiohttp asks for a name once however many requests wait for it, so there is one thread a name.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The host's addresses.

        Raises:
            OSError: it has none, or its name servers do not tell.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[ResolveResult]] = loop.create_future()

        def ask() -> None:
            found = _look_up(host, port, family)
            with suppress(RuntimeError):  # the loop was closed while we waited
                loop.call_soon_threadsafe(_settle, answer, found)

        threading.Thread(target=ask, name="http-resolver", daemon=True).start()
        return await answer

    async def close(self) -> None:
        """Nothing is held."""


def _settle(answer: asyncio.Future[list[ResolveResult]], found: list[ResolveResult] | OSError) -> None:
    if answer.done():
        return
    if isinstance(found, OSError):
        answer.set_exception(found)
    else:
        answer.set_result(found)


def _look_up(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult] | OSError:
    try:
        rows = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except OSError as error:
        return error
    except UnicodeError:
        return socket.gaierror(socket.EAI_NONAME, "it is no host name")
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in rows
    ]
