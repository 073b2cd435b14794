"""Asking for a host's addresses where a name server that hangs does no harm."""

import asyncio
import socket
import threading
from contextlib import suppress

from bridge.errors import RelayError


class Resolver:
    """One question at a time, in a daemon thread of its own.

    `getaddrinfo` can't be cancelled. In the event loop's executor each retry would leave one more stuck
    thread there, and the process could not exit before the last of them returned.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def check(self, host: str, port: int) -> None:
        """Return once the host's addresses are known; cancel it to give up waiting.

        Raises:
            RelayError: the name has no address, or the question before this one is still unanswered.
        """
        if self._thread is not None and self._thread.is_alive():
            raise RelayError("the name server still has not answered")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()

        def ask() -> None:
            failure = _lookup(host, port)
            with suppress(RuntimeError):  # the loop was closed while we waited
                loop.call_soon_threadsafe(_settle, answer, failure)

        self._thread = threading.Thread(target=ask, name="relay-resolver", daemon=True)
        self._thread.start()
        if failure := await answer:
            raise RelayError(f"the relay's name can't be resolved: {failure}")


def _settle(answer: asyncio.Future[str], failure: str) -> None:
    if not answer.done():  # the asker may have given up
        answer.set_result(failure)


def _lookup(host: str, port: int) -> str:
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error.strerror or str(error)
    except UnicodeError:
        return "it is no host name"
    return ""
