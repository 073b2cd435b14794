"""The control socket: a Unix socket that commands on the same machine talk to the daemon by."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from pathlib import Path

from aiohttp import web

from bridge.errors import BridgeError, Fault

Answer = Mapping[str, object]
Handler = Callable[[Mapping[str, object]], Awaitable[Answer]]
Stream = Callable[[Mapping[str, object]], AsyncGenerator[Answer | None, None]]
"""Answers bit by bit, without an end; None: there is nothing to say. It refuses before the first one."""

MAX_REQUEST = 4 * 1024 * 1024
MOST_STREAMS = 8
"""Streams at once."""


class ControlError(BridgeError):
    """A request that can't be carried out; the message is for the caller."""


class ControlUnavailable(BridgeError):
    """The control socket can't be made."""

    fault = Fault.SYSTEM


class ControlSocket:
    """Serves `POST /<command>` with JSON in and out. Who may connect, the file's mode decides (0600).

    A stream's answers are JSON lines, an empty one now and then.
    """

    def __init__(
        self, path: Path, commands: Mapping[str, Handler], streams: Mapping[str, Stream] | None = None
    ) -> None:
        self.path = path
        self._commands = commands
        self._streams = streams or {}
        self._open: set[asyncio.Timeout] = set()
        """Of each stream that runs, what ends it."""
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Listen. A socket that a dead process left behind is replaced.

        Raises:
            ControlUnavailable: the folder can't be written, or the path is too long for a socket.
        """
        app = web.Application(client_max_size=MAX_REQUEST)
        app.router.add_post("/{command}", self._serve)
        app.on_shutdown.append(self._end_streams)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, _bind(self.path)).start()
        except OSError as error:
            await runner.cleanup()
            raise ControlUnavailable(
                f"no control socket at {self.path}: {error.strerror or error}"
            ) from error
        self._runner = runner

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["command"]
        if name not in self._commands and name not in self._streams:
            return _json({"error": "no such command"}, 404)
        try:
            body = await request.json() if request.can_read_body else {}
            if not isinstance(body, dict):
                return _json({"error": "a JSON object is expected"}, 400)
            if name in self._streams:
                return await self._stream(request, self._streams[name](body))
            return _json(await self._commands[name](body), 200)
        except (json.JSONDecodeError, UnicodeDecodeError):
            return _json({"error": "the request is not JSON"}, 400)
        except BridgeError as error:
            return _json({"error": str(error)}, 409)

    async def _stream(
        self, request: web.Request, answers: AsyncGenerator[Answer | None, None]
    ) -> web.StreamResponse:
        if len(self._open) >= MOST_STREAMS:
            raise ControlError(f"{MOST_STREAMS} clients listen already")
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        until_closed = asyncio.timeout(None)
        self._open.add(until_closed)
        try:
            async with until_closed, aclosing(answers):
                await response.prepare(request)
                async for answer in answers:
                    await response.write(b"\n" if answer is None else _line(answer))
        except (ConnectionError, TimeoutError):
            pass  # the client left, or the daemon stops
        finally:
            self._open.discard(until_closed)
        return response

    async def _end_streams(self, _app: web.Application) -> None:
        for stream in self._open:
            stream.reschedule(0.0)

    async def close(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            await asyncio.to_thread(self.path.unlink, missing_ok=True)


def _bind(path: Path) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(str(path))
        path.chmod(0o600)  # nobody can connect before it listens
    except OSError:
        bound.close()
        raise
    return bound


def _line(answer: Answer) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _json(answer: Answer, status: int) -> web.Response:
    return web.json_response(answer, status=status)
