"""A subscriber outside the faults: it reads straight from the broker, and misses nothing meanwhile.

It is MQTT 3.1.1 by hand at QoS 0, because what a broker writes to such a subscriber is in the system's hands
before the publisher has its acknowledgement: a broker that is killed then takes nothing with it.
"""

import asyncio
from collections.abc import Callable
from typing import cast

CONNECT = bytes.fromhex("100f 0004 4d515454 04 02 0000 0003 746170")
"""Protocol MQTT 3.1.1, clean session, no keepalive, client ID `tap`."""
SUBSCRIBE = bytes.fromhex("8206 0001 0001 23 00")
"""Everything, at QoS 0."""
PUBLISH, SUBACK = 0x30, 0x90

OnMessage = Callable[[str, bytes], None]


class Tap:
    """Calls back with topic and payload of each message."""

    def __init__(self, port: int, on_message: OnMessage) -> None:
        self._port = port
        self._on_message = on_message
        self._transport: asyncio.Transport | None = None
        self._wire: _Wire

    async def open(self) -> None:
        """Returns once subscribed."""
        loop = asyncio.get_running_loop()
        self._transport, self._wire = await loop.create_connection(
            lambda: _Wire(self._on_message), "127.0.0.1", self._port
        )
        await self._wire.subscribed.wait()

    def abort(self) -> None:
        """End it, whatever is on its way."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self) -> None:
        """Take in everything up to the end of the connection, then forget it."""
        transport, self._transport = self._transport, None
        if transport is not None:
            if not transport.is_closing():
                transport.write_eof()
            await self._wire.ended.wait()


class _Wire(asyncio.Protocol):
    """One connection. It parses as data comes: a stream reader forgets what it holds when a reset follows."""

    def __init__(self, on_message: OnMessage) -> None:
        self.subscribed = asyncio.Event()
        self.ended = asyncio.Event()
        self._on_message = on_message
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(CONNECT + SUBSCRIBE)

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        while (end := _packet_end(self._buffer, start)) is not None:
            self._packet(bytes(self._buffer[start:end]))
            start = end
        del self._buffer[:start]

    def _packet(self, packet: bytes) -> None:
        if packet[0] & 0xF0 == SUBACK:
            self.subscribed.set()
        elif packet[0] & 0xF0 == PUBLISH:
            content = packet[_content(packet, 0)[0] :]
            end = 2 + int.from_bytes(content[:2], "big")
            self._on_message(content[2:end].decode(), content[end:])


def _content(buffer: bytes | bytearray, start: int) -> tuple[int, int]:
    """Where a packet's content begins, and how long it is. Raises IndexError where that isn't there yet."""
    length, shift, place = 0, 0, start + 1
    while True:
        byte = buffer[place]
        place += 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return place, length


def _packet_end(buffer: bytearray, start: int) -> int | None:
    try:
        begin, length = _content(buffer, start)
    except IndexError:
        return None
    return begin + length if begin + length <= len(buffer) else None
