"""The control socket: a Unix socket that commands on the same machine talk to the daemon by."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from aiohttp import web

log = logging.getLogger(__name__)

Answer = Mapping[str, object]
Handler = Callable[[Mapping[str, object]], Awaitable[Answer]]

SOCKET_NAME = "control.sock"
MAX_REQUEST = 4 * 1024 * 1024


class ControlError(Exception):
    """A request that can't be carried out; the message is for the caller."""


class ControlSocket:
    """Serves `POST /<command>` with JSON in and out. Who may connect, the file's mode decides (0600)."""

    def __init__(self, path: Path, commands: Mapping[str, Handler]) -> None:
        self.path = path
        self._commands = commands
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. A socket that a dead process left behind is replaced.

        Raises:
            OSError: the folder can't be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.unlink(missing_ok=True)
        app = web.Application(client_max_size=MAX_REQUEST)
        app.router.add_post("/{command}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.path)).start()
        self.path.chmod(0o600)

    async def _serve(self, request: web.Request) -> web.Response:
        handler = self._commands.get(request.match_info["command"])
        if handler is None:
            return _json({"error": "no such command"}, 404)
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                return _json({"error": "a JSON object is expected"}, 400)
            return _json(await handler(body), 200)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return _json({"error": "the request is not JSON"}, 400)
        except ControlError as error:
            return _json({"error": str(error)}, 409)

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        await asyncio.to_thread(self.path.unlink, missing_ok=True)


def _json(answer: Answer, status: int) -> web.Response:
    return web.json_response(answer, status=status)
