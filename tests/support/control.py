"""A control socket that answers as it is told, for commands that talk to the daemon."""

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from bridge.folders import SOCKET_NAME


@dataclass
class ControlPeer:
    """Its answers by command, each given once, and what it was asked."""

    answers: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    streams: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What it tells by command, line by line, before it goes away."""
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def control_peer(folder: Path) -> Iterator[ControlPeer]:
    """Answers at the control socket of a runtime folder."""
    peer = ControlPeer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            command = self.path.removeprefix("/")
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            peer.requests.append((command, request))
            if command in peer.streams:
                body = b"".join(b"\n" + json.dumps(one).encode() + b"\n" for one in peer.streams[command])
            else:
                body = json.dumps(peer.answers[command].pop(0)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """A test's output is the command's alone."""

    with socketserver.UnixStreamServer(str(folder / SOCKET_NAME), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()
