"""Talking to the running daemon by its control socket."""

import http.client
import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.errors import BridgeError, Fault
from bridge.folders import folders


class DaemonUnavailable(BridgeError):
    """No daemon answers at the control socket."""

    fault = Fault.SYSTEM
    retry = True


class DaemonRefused(BridgeError):
    """The daemon answered that it can't do this; the message says why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(
    command: str, request: Mapping[str, object] | None = None, *, timeout: float = 10.0
) -> dict[str, Any]:
    """The daemon's answer to a command.

    Args:
        command: its name, as in `bridge.operations`.
        request: what goes with it.
        timeout: seconds to wait.

    Raises:
        DaemonUnavailable: nobody answers in time.
        DaemonRefused: it said no.
    """
    path = folders().runtime / "control.sock"
    connection = _UnixConnection(path, timeout)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", f"/{command}", json.dumps(request or {}), headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DaemonUnavailable(f"no daemon answers at {path}: {error}") from error
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise DaemonRefused(str(answer.get("error", response.status)))
    return answer
