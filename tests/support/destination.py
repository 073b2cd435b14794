"""Where public outputs lead to, for tests."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Destination:
    """A server that keeps what it is called with, and answers as it is told."""

    url: str = ""
    calls: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[int], web.Response] = lambda _count: web.Response()
    delay: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        target = str(request.rel_url)
        self.calls.append((request.method, target, dict(request.headers), await request.read()))
        count = len(self.calls)
        await asyncio.sleep(self.delay)
        return self.answer(count)


@asynccontextmanager
async def running_destination() -> AsyncIterator[Destination]:
    """One that listens."""
    found = Destination()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield found
    await runner.cleanup()
