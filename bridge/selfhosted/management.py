"""The management page, at an address of its own: what the public address answers can't be the page's origin.

An input may answer with any HTML; served beside the page, that could do all that the page can. The page
uses the HTTP interface with a token that is typed into it, and keeps that in its memory only.
"""

import logging
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

from bridge.selfhosted.idle import IdleConnections
from bridge.web import page
from bridge.web.hosts import is_loopback
from bridge.web.origin import add_headers, check_mutation, check_origin

logger = logging.getLogger(__name__)

PAGE: Final = (Path(__file__).parent / "page", "manage", "talk", "log")
"""The folder, the name, and the parts of its script."""


class Management:
    """Serves the page and the interface to browsers on machines that may connect.

    Args:
        listen: host and port; 0: any that is free.
        public_url: what the page shows as the address of inputs.
        interface: adds the HTTP interface to a router.
        idle: looks after the connections.
    """

    def __init__(
        self,
        listen: tuple[str, int],
        public_url: str,
        interface: Callable[[web.UrlDispatcher], None],
        idle: IdleConnections,
    ) -> None:
        self._listen = listen
        self._idle = idle
        found = page.load(*PAGE)
        self._page = found._replace(html=found.html.replace("RELAY-URL", escape(public_url)))
        app = web.Application(middlewares=[idle.middleware, self._guard])
        app.on_response_prepare.append(add_headers)
        app.router.add_get("/", self._show)
        interface(app.router)
        self._runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=1.0)

    async def start(self) -> None:
        """Start to listen.

        Raises:
            OSError: the address can't be used.
        """
        await self._runner.setup()
        if self._runner.server is not None:
            self._idle.watch(self._runner.server)
        host, port = self._listen
        await web.TCPSite(self._runner, host or None, port).start()
        self._listen = host, int(self._runner.addresses[0][1])
        logger.info("the management page is at %s", self.url)
        if not is_loopback(host):
            logger.warning("the management page is served to other machines, and without encryption")

    async def close(self) -> None:
        """Listen no more."""
        await self._idle.close()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where the page is, without a trailing slash."""
        host, port = self._listen
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host or '127.0.0.1'}:{port}"

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        check_origin(request, self._listen)
        check_mutation(request)
        return await handler(request)

    async def _show(self, _request: web.Request) -> web.Response:
        return page.respond(self._page)
