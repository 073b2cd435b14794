"""The connection under paho: opened in a thread, read and written in large pieces."""

import concurrent.futures
import contextlib
import socket
import ssl
import threading

from paho.mqtt.client import _WebsocketWrapper

from bridge.config.model import BrokerSettings

CONNECT_TIMEOUT = 5.0
"""Seconds for each address of a host, and for each step of a handshake."""
CHUNK = 64 * 1024
UNSENT_LIMIT = 256 * 1024

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class BufferedSocket:
    """What paho takes for its socket.

    Paho reads each packet in pieces of 1, 1 and n bytes, and writes each packet by itself. Here many
    packets share one system call, and TLS can't keep bytes that the event loop doesn't see. It
    blocks and doesn't buffer writes until `setblocking(False)`: handshakes are made that way.
    """

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._received = b""
        self._position = 0
        self._unsent = bytearray()
        self._blocking = True
        self._ended = False

    @property
    def readable(self) -> bool:
        """Whether bytes wait here, where the event loop can't see them."""
        return self._position < len(self._received)

    @property
    def unsent(self) -> int:
        """Bytes that the system didn't take yet."""
        return len(self._unsent)

    def recv(self, size: int) -> bytes:
        """As `socket.recv`; BlockingIOError where there is nothing."""
        if self._ended:
            return b""
        if self._position >= len(self._received):
            try:
                self._received = self._raw.recv(CHUNK)
            except _WOULD_BLOCK as error:
                raise BlockingIOError from error
            self._position = 0
        piece = self._received[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def send(self, data: bytes | bytearray) -> int:
        """Take all of the data, or none where too much is unsent: BlockingIOError."""
        if self._blocking:
            return self._raw.send(data)
        if len(self._unsent) >= UNSENT_LIMIT:
            self.flush()
            if len(self._unsent) >= UNSENT_LIMIT:
                raise BlockingIOError
        self._unsent += data
        return len(data)

    def flush(self) -> None:
        """Hand the system as much as it takes now."""
        while self._unsent:
            try:
                sent = self._raw.send(self._unsent)
            except _WOULD_BLOCK:
                return
            del self._unsent[:sent]

    def confirm(self) -> None:
        """Confirm what was received at once, where the system can be told to (Linux).

        Brokers use Nagle's algorithm: what follows a short packet waits for that, for 40 ms.
        """
        if hasattr(socket, "TCP_QUICKACK"):
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    def end(self) -> None:
        """The next read finds the end of the connection, whatever came meanwhile."""
        self._ended = True
        self._unsent.clear()

    def close(self) -> None:
        """Flush what the system takes (a DISCONNECT, say) and close."""
        with contextlib.suppress(OSError):
            self.flush()
        self._raw.close()

    def fileno(self) -> int:
        """The descriptor, -1 once it is closed."""
        return self._raw.fileno()

    def setblocking(self, flag: bool) -> None:
        """As `socket.setblocking`; False also begins to buffer writes."""
        self._blocking = flag
        self._raw.setblocking(flag)


Stream = BufferedSocket | _WebsocketWrapper


class Connection:
    """A connection to a broker: what paho uses (`stream`) over what the event loop watches (`socket`)."""

    def __init__(self, settings: BrokerSettings) -> None:
        """Connect, as far as MQTT's own handshake; blocks.

        Raises:
            OSError: no name, no route, refused, a TLS or WebSocket handshake that failed, a missing file.
            ValueError, LookupError: the host is no host name; an answer that is not HTTP (WebSocket).
        """
        context = _tls_context(settings)
        raw = socket.create_connection((settings.host, settings.port), timeout=CONNECT_TIMEOUT)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                raw = context.wrap_socket(raw, server_hostname=settings.host)
            self.socket = BufferedSocket(raw)
            self.stream: Stream = (
                self.socket if settings.scheme in {"mqtt", "mqtts"} else self._websocket(settings)
            )
        except BaseException:
            raw.close()
            raise

    def _websocket(self, settings: BrokerSettings) -> _WebsocketWrapper:
        return _WebsocketWrapper(
            socket=self.socket,  # type: ignore[arg-type]  # it uses no more of a socket than this one has
            host=settings.host,
            port=settings.port,
            is_ssl=settings.scheme == "wss",
            path=settings.path,
            extra_headers=None,
        )


def _tls_context(settings: BrokerSettings) -> ssl.SSLContext | None:
    """Made for each connection, so that a renewed certificate is taken up."""
    if settings.scheme not in {"mqtts", "wss"}:
        return None
    context = ssl.create_default_context(cafile=settings.ca)
    if settings.cert is not None:
        context.load_cert_chain(settings.cert, settings.key)
    return context


def open_connection(settings: BrokerSettings) -> concurrent.futures.Future[Connection]:
    """Connect in a daemon thread: name resolution can hang, and neither the loop nor an exit may wait."""
    future: concurrent.futures.Future[Connection] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()  # who stops waiting can't cancel it

    def connect() -> None:
        try:
            connection = Connection(settings)
        except (OSError, ValueError, LookupError) as error:
            future.set_exception(error)
        else:
            future.set_result(connection)

    threading.Thread(target=connect, name=f"connect {settings.target}", daemon=True).start()
    return future


def discard(future: concurrent.futures.Future[Connection]) -> None:
    """Close what `open_connection` yields, now or when it comes."""
    future.add_done_callback(_close_result)


def _close_result(future: concurrent.futures.Future[Connection]) -> None:
    if future.exception() is None:
        future.result().socket.close()
