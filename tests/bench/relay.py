"""The load generator's relay: as much of the protocol as a subscriber sees, and as little work as possible.

The handshake and what the client says go through the `websockets` library; webhooks are encoded ahead and
written many to a system call. Compression is not negotiated.
"""

import json
import selectors
import socket
from typing import Final

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

AUTHENTICATED: Final = {"type": "status", "status": "authenticated", "message": "connected successfully"}
SUBSCRIBED: Final = {"type": "status", "status": "subscribed", "message": "subscribed to buckets: bench"}


class Relay:
    """Listens on a port of its own and serves one subscriber; a later one takes over."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = int(self._listener.getsockname()[1])
        self._sessions: set[Session] = set()
        self.subscriber: Session | None = None
        """Who gets the webhooks; None until someone subscribed."""
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def url(self) -> str:
        """Where to connect."""
        return f"ws://127.0.0.1:{self.port}/v1/socket"

    def _accept(self, _events: int) -> None:
        connection, _ = self._listener.accept()
        self._sessions.add(Session(self, connection, self._selector))

    def ended(self, session: "Session") -> None:
        """Forget a session, and what was not sent to it yet: the real relay resends nothing either."""
        self._sessions.discard(session)
        if self.subscriber is session:
            self.subscriber = None

    def close(self) -> None:
        """Close every socket."""
        for session in list(self._sessions):
            session.close()
        self._selector.unregister(self._listener)
        self._listener.close()


class Session:
    """One connection."""

    def __init__(self, relay: Relay, connection: socket.socket, selector: selectors.BaseSelector) -> None:
        self._relay = relay
        self._socket = connection
        self._selector = selector
        self._protocol = ServerProtocol()
        self._out = bytearray()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ, self._ready)

    @property
    def pending(self) -> int:
        """Bytes that the kernel did not take yet."""
        return len(self._out)

    def write(self, data: bytes) -> None:
        """Send whole WebSocket messages, or what the kernel takes of them; the rest follows."""
        self._out += data
        self._flush()

    def close(self) -> None:
        """End it, if it hasn't ended."""
        if self._socket.fileno() < 0:
            return
        self._selector.unregister(self._socket)
        self._socket.close()
        self._relay.ended(self)

    def _ready(self, events: int) -> None:
        if events & selectors.EVENT_READ:
            self._read()
        if events & selectors.EVENT_WRITE and self._socket.fileno() >= 0:
            self._flush()

    def _read(self) -> None:
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if data:
            self._protocol.receive_data(data)
        for event in self._protocol.events_received() if data else ():
            self._handle(event)
        self._out += b"".join(self._protocol.data_to_send())
        self._flush()
        if not data or self._protocol.close_expected():
            self.close()

    def _handle(self, event: object) -> None:
        if isinstance(event, Request):
            self._protocol.send_response(self._protocol.accept(event))
        elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            self._answer(json.loads(bytes(event.data)))

    def _answer(self, message: dict[str, object]) -> None:
        if message["action"] == "auth":
            self._say(AUTHENTICATED)
        elif message["action"] == "subscribe":
            self._say(SUBSCRIBED)
            self._relay.subscriber = self

    def _say(self, status: dict[str, str]) -> None:
        self._protocol.send_text(json.dumps(status).encode())

    def _flush(self) -> None:
        try:
            while self._out:
                del self._out[: self._socket.send(self._out)]
        except BlockingIOError:
            pass
        except ConnectionError:
            self.close()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self._socket).events != wanted:
            self._selector.modify(self._socket, wanted, self._ready)
