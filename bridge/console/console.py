"""The console as a part of the daemon: it listens as the routing file says, and never ends the daemon."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from bridge.config.model import ConsoleSettings
from bridge.console.failures import Failures
from bridge.console.history import History
from bridge.console.watched import Watched
from bridge.control import Handler
from bridge.status import ConsoleState

log = logging.getLogger(__name__)

MINUTE: Final = 60.0
RETRY_SECONDS: Final = 10.0
"""Until an address is tried again that could not be had: at boot, the network may come later."""
CLOSE_SECONDS: Final = 1.0
"""For requests that are being answered."""


class Console:
    """Serves the page, health and metrics.

    Args:
        daemon: what is shown.
        operations: what the page may ask for: the commands of the control socket.
        retry: seconds between two tries to listen.

    Attributes:
        state: where it listens now, or why it doesn't.
    """

    def __init__(
        self, daemon: Watched, operations: Mapping[str, Handler], *, retry: float = RETRY_SECONDS
    ) -> None:
        self.state = ConsoleState()
        self._daemon = daemon
        self._operations = operations
        self._retry = retry
        self._history = History(daemon.counts.routes)
        self._failures = Failures()
        self._settings: ConsoleSettings | None = None
        self._current: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def use(self, settings: ConsoleSettings | None) -> None:
        """Listen by these settings, None: not at all; nothing happens where they are the current ones."""
        if settings == self._settings:
            return
        self._settings = settings
        if self._current is not None:
            self._current.cancel()
            self._current = None
        if settings is not None:
            self._current = asyncio.create_task(self._serve_next(settings), name="console")
            self._tasks.add(self._current)
            self._current.add_done_callback(self._ended)

    async def close(self) -> None:
        """Listen no more."""
        self.use(None)
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """An error is a bug, and must be loud; webhooks go on without the console."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the console failed", exc_info=error)

    async def _serve_next(self, settings: ConsoleSettings) -> None:
        async with self._one_at_a_time:  # who comes next may want the same address
            try:
                await self._serve(settings)
            finally:
                self.state = ConsoleState()

    async def _serve(self, settings: ConsoleSettings) -> None:
        from bridge.console.listener import ListenerError  # noqa: PLC0415  # aiohttp, for those who want it

        told = ""
        while True:
            try:
                async with self._listening(settings):
                    told = ""
                    await self._count_minutes()
            except ListenerError as error:
                if str(error) != told:
                    told = str(error)
                    self.state = ConsoleState(problem=f"not at {_place(settings.listen)}: {told}")
                    log.warning("there is no console at %s: %s", _place(settings.listen), told)
            await asyncio.sleep(self._retry)

    @asynccontextmanager
    async def _listening(self, settings: ConsoleSettings) -> AsyncIterator[None]:
        from aiohttp import web  # noqa: PLC0415  # for those who want it

        from bridge.console import listener  # noqa: PLC0415  # as above
        from bridge.console.app import make_app  # noqa: PLC0415  # as above
        from bridge.console.guard import Guard  # noqa: PLC0415  # as above

        async with AsyncExitStack() as stack:
            sockets = await listener.bind(settings.listen, protected=settings.token is not None)
            for one in sockets:
                stack.callback(one.close)
            listen = settings.listen
            if not isinstance(listen, Path):
                listen = (listen[0], sockets[0].getsockname()[1])
            else:
                stack.callback(listen.unlink, missing_ok=True)
            guard = Guard(listen, settings.token, self._failures)
            app = make_app(self._daemon, self._operations, guard, self._history, bodies=settings.bodies)
            runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_SECONDS)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            if runner.server is not None:  # it is set up
                for server in await listener.serve(runner.server, sockets):
                    stack.callback(server.close)
            self.state = ConsoleState(_place(listen))
            log.info("the console is at %s", self.state.url)
            yield

    async def _count_minutes(self) -> None:
        while True:
            await asyncio.sleep(MINUTE)
            self._history.turn()


def _place(listen: tuple[str, int] | Path) -> str:
    if isinstance(listen, Path):
        return str(listen)
    host, port = listen
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
