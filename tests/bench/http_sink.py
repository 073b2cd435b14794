"""The counting HTTP server: answers 200 to every request, and looks at nothing but the body's mark."""

import re
import selectors
import socket
import time
from typing import Final

from tests.bench.tally import Tally

ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class HttpSink:
    """Listens on a port of its own and keeps connections open."""

    def __init__(self, selector: selectors.BaseSelector, tally: Tally) -> None:
        self._selector = selector
        self._tally = tally
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._unfinished: dict[socket.socket, bytes] = {}
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def url(self) -> str:
        """Its base, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Close every socket."""
        for connection in [*self._unfinished, self._listener]:
            self._selector.unregister(connection)
            connection.close()
        self._unfinished.clear()

    def _accept(self, _events: int) -> None:
        connection, _ = self._listener.accept()
        connection.setblocking(False)
        self._unfinished[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, lambda _: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            chunk = connection.recv(65536)
        except ConnectionError:
            chunk = b""
        if chunk:
            now = time.monotonic_ns()
            data = self._unfinished[connection] + chunk
            while (end := _end(data)) is not None:
                self._tally.arrived(data[:end], now)
                connection.send(ANSWER)
                data = data[end:]
            self._unfinished[connection] = data
        else:
            self._selector.unregister(connection)
            del self._unfinished[connection]
            connection.close()


def _end(data: bytes) -> int | None:
    """Where the first request ends; None where it is not complete.

    Raises:
        ValueError: it does not say its length.
    """
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return None
    length = _LENGTH.search(data, 0, head + 2)
    if length is None:
        raise ValueError(f"a request without a length: {data[:head]!r}")
    end = head + 4 + int(length[1])
    return end if end <= len(data) else None
