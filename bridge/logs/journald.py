"""Log entries with fields for journald, in its native protocol: one datagram an entry.

The protocol is described at https://systemd.io/JOURNAL_NATIVE_PROTOCOL/.
"""

import logging
import socket
import struct
from collections.abc import Mapping
from pathlib import Path

from bridge.logs.lines import TextFormatter, fields, priority

SOCKET = Path("/run/systemd/journal/socket")
PREFIX = "RELAY_BRIDGE_"
LONGEST = 48 * 1024
"""Bytes of one value. A datagram that is too long for the socket would be lost as a whole."""


class JournaldHandler(logging.Handler):
    """Sends each record at once, and never waits: a journald that hangs must not stop the bridge."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(TextFormatter("%(message)s"))
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._lost = 0

    @classmethod
    def listens(cls) -> bool:
        """Whether journald's socket can be reached from here."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(str(SOCKET))
            except OSError:
                return False
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Send it, with how many were lost before it where some were."""
        try:
            datagram = encode(self._entry(record))
        except (KeyError, TypeError, ValueError):  # a message and arguments that don't fit each other
            self.handleError(record)
            return
        try:
            self._socket.sendto(datagram, str(SOCKET))
        except OSError:
            self._lost += 1
        else:
            self._lost = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()

    def _entry(self, record: logging.LogRecord) -> dict[str, str]:
        own = {PREFIX + name.upper(): value for name, value in fields(record).items()}
        if self._lost:
            own[f"{PREFIX}LOST"] = str(self._lost)
        return own | {
            "MESSAGE": self.format(record),
            "PRIORITY": str(priority(record)),
            "SYSLOG_IDENTIFIER": "relay-bridge",
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": str(record.lineno),
            "CODE_FUNC": record.funcName or "",
        }


def encode(entry: Mapping[str, str]) -> bytes:
    """The datagram. Each value goes with its length, so that none can end early and begin another field."""
    return b"".join(_field(name, value) for name, value in entry.items())


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if len(data) > LONGEST:
        data = data[:LONGEST].decode(errors="ignore").encode() + "…".encode()
    return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
