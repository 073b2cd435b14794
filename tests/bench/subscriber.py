"""The counting subscriber: reads PUBLISH packets off an MQTT 3.1.1 connection, and nothing else."""

import selectors
import socket
import time
from typing import Final

from tests.bench.tally import Tally

CHUNK: Final = 1 << 18
TOPIC: Final = b"ci/#"
CLIENT_ID: Final = b"bench-counter"


class Subscriber:
    """Subscribes and tells a tally of every delivery.

    Args:
        keep: subscribe with QoS 1 and a session that the broker keeps while it restarts. Without, QoS 0: the
            broker then has less work.
    """

    def __init__(self, selector: selectors.BaseSelector, tally: Tally, port: int, *, keep: bool) -> None:
        self._selector = selector
        self._tally = tally
        self._port = port
        self._keep = keep
        self._socket: socket.socket | None = None
        self._data = b""
        self.ready = False
        """The broker confirmed the subscription."""

    def connect(self) -> None:
        """Connect and subscribe; `ready` says when the broker confirmed it."""
        connection = socket.create_connection(("127.0.0.1", self._port))
        flags = b"\x00" if self._keep else b"\x02"  # clean session
        connect = _packet(0x10, b"\x00\x04MQTT\x04" + flags + b"\x00\x00" + _text(CLIENT_ID))
        subscribe = _packet(0x82, b"\x00\x01" + _text(TOPIC) + (b"\x01" if self._keep else b"\x00"))
        connection.sendall(connect + subscribe)
        connection.setblocking(False)
        self._socket, self._data, self.ready = connection, b"", False
        self._selector.register(connection, selectors.EVENT_READ, self._read)

    def close(self) -> None:
        """Disconnect."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None

    def _read(self, _events: int) -> None:
        assert self._socket is not None
        try:
            chunk = self._socket.recv(CHUNK)
            # Mosquitto has Nagle's algorithm on: a delayed acknowledgement would hold back its next packet.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except ConnectionError:
            chunk = b""
        if not chunk:
            self.close()
            return
        now = time.monotonic_ns()
        self._data += chunk
        acknowledgements = self._take(now)
        if acknowledgements:
            self._socket.setblocking(True)
            self._socket.sendall(acknowledgements)
            self._socket.setblocking(False)

    def _take(self, now: int) -> bytes:
        """Handle the complete packets; the acknowledgements to send."""
        data, at, acknowledgements = self._data, 0, []
        while (found := _length(data, at)) is not None:
            start, end = found
            if end > len(data):
                break
            kind = data[at]
            if kind >> 4 == 3:
                begin = start + 2 + int.from_bytes(data[start : start + 2])
                if kind & 0x06:
                    acknowledgements.append(b"\x40\x02" + data[begin : begin + 2])
                self._tally.arrived(data, now, begin)
            elif kind >> 4 == 9:
                self.ready = True
            at = end
        self._data = data[at:]
        return b"".join(acknowledgements)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the content of the packet at `at` starts and ends; None where its head isn't complete."""
    length, shift, start = 0, 0, at + 1
    while start < len(data):
        byte = data[start]
        length |= (byte & 0x7F) << shift
        shift += 7
        start += 1
        if byte < 0x80:
            return start, start + length
    return None


def _packet(kind: int, content: bytes) -> bytes:
    return bytes((kind, len(content))) + content


def _text(value: bytes) -> bytes:
    return len(value).to_bytes(2) + value
