"""Talking to the running daemon by its control socket."""

import http.client
import json
import socket
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.cli.exits import DaemonUnavailable
from bridge.errors import BridgeError
from bridge.folders import control_sockets

SILENCE = 30.0
"""Seconds without a word after which a daemon that tells what happens is taken for dead."""


class DaemonRefused(BridgeError):
    """The daemon answered that it can't do this; the message says why."""


class _UnixConnection(http.client.HTTPConnection):
    """To the first of some paths where somebody listens."""

    def __init__(self, paths: Sequence[Path], timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._paths = paths

    def connect(self) -> None:
        """Connect.

        Raises:
            DaemonUnavailable: nobody listens, or not to us.
        """
        for path in self._paths:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            try:
                self.sock.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):  # never there, or left by a dead process
                self.sock.close()
            except OSError as error:
                self.sock.close()
                raise DaemonUnavailable(f"{path}: {error.strerror or error}") from error
            else:
                return
        raise DaemonUnavailable(f"no daemon runs: nobody listens at {' or '.join(map(str, self._paths))}")


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
    connection = _UnixConnection(control_sockets(), timeout)
    try:
        response = _request(connection, command, request)
        answer: dict[str, Any] = json.loads(response.read())
    except TimeoutError as error:
        raise DaemonUnavailable(f"the daemon has not answered within {timeout:g} s") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DaemonUnavailable(f"the daemon gave no answer: {error}") from error
    finally:
        connection.close()
    return _accepted(response.status, answer)


def listen(
    command: str, request: Mapping[str, object] | None = None
) -> Generator[dict[str, Any], None, None]:
    """What the daemon tells, piece by piece, as long as it runs.

    Raises:
        DaemonUnavailable: nobody answers, or the daemon has stopped.
        DaemonRefused: it said no.
    """
    connection = _UnixConnection(control_sockets(), SILENCE)
    try:
        with _request(connection, command, request) as response:
            for line in response:
                if line.strip():
                    yield _accepted(response.status, json.loads(line))
    except TimeoutError as error:
        raise DaemonUnavailable("the daemon does not answer any more") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DaemonUnavailable(f"the daemon went away: {error}") from error
    finally:
        connection.close()
    raise DaemonUnavailable("the daemon has stopped")


def _request(
    connection: http.client.HTTPConnection, command: str, request: Mapping[str, object] | None
) -> http.client.HTTPResponse:
    connection.request("POST", f"/{command}", json.dumps(request or {}), {"Content-Type": "application/json"})
    return connection.getresponse()


def _accepted(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    if status != http.client.OK:
        raise DaemonRefused(str(answer.get("error", status)))
    return answer
