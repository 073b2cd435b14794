"""Telling systemd how the service does: its notify protocol, one datagram a message.

The protocol is sd_notify(3): lines of `NAME=value` to the socket that `NOTIFY_SOCKET` names.
"""

import logging
import os
import socket
import time
from collections.abc import Mapping

log = logging.getLogger(__name__)

LONGEST_STATUS = 500


class Notifier:
    """Speaks to the service manager, or to nobody where there is none. Its methods never raise.

    Attributes:
        watchdog_interval: seconds between calls of `watchdog`, half of what systemd allows; None
            where it does not watch this process.
    """

    def __init__(self, address: bytes | None, watchdog_interval: float | None = None) -> None:
        self._address = address
        self.watchdog_interval = watchdog_interval

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Notifier":
        """As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say."""
        return cls(_address(environment.get("NOTIFY_SOCKET", "")), _watchdog_interval(environment))

    def ready(self, status: str = "") -> None:
        """The service has started, or its reload is over."""
        self._tell("READY=1", *_status_line(status))

    def reloading(self) -> None:
        """A reload begins; `ready` ends it."""
        # systemd takes the time on CLOCK_MONOTONIC, which on Linux is what time.monotonic reads.
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._tell(*_status_line(text))

    def stopping(self) -> None:
        """The service has begun to stop."""
        self._tell("STOPPING=1")

    def watchdog(self) -> None:
        """The service is alive."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if self._address is None or not lines:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
                datagrams.setblocking(False)
                datagrams.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.debug("systemd was not told %s: %s", lines[0], error)


def _address(text: str) -> bytes | None:
    """A path, or with `@` a name in Linux's abstract name space; others (vsock) are not for a daemon."""
    if text.startswith("@"):
        return b"\0" + os.fsencode(text[1:])
    return os.fsencode(text) if text.startswith("/") else None


def _watchdog_interval(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000


def _status_line(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return (f"STATUS={shown[:LONGEST_STATUS]}",)
