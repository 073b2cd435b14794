"""The self-hosted relay as a whole: one HTTP server with the public inputs and the subscribers' socket."""

import logging
from ipaddress import ip_address

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.inbound import PREFIX, Inbound
from bridge.selfhosted.resources import Settings, derived_id
from bridge.selfhosted.sockets import Sockets

logger = logging.getLogger(__name__)
_http_logger = logging.getLogger(f"{__name__}.http")


class SelfHostedRelay:
    """A relay that runs in the event loop of its caller.

    Args:
        settings: what it serves.
        host: the address to listen on, instead of the settings' one.
        port: likewise; 0 lets the system choose.
    """

    def __init__(self, settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
        self.counters = Counters()
        self.hub = Hub(settings.limits, self.counters)
        self._settings = settings
        self._host = settings.host if host is None else host
        self._asked_port = settings.port if port is None else port
        self._sockets: Sockets | None = None
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start to listen.

        Raises:
            OSError: the address can't be used.
        """
        self._sockets = Sockets(self._settings, self.hub, self.counters)
        self._runner = web.AppRunner(
            self._application(self._sockets),
            logger=_http_logger,
            access_log=None,
            # A body goes on as it came; nobody's gzip bomb is unpacked here.
            auto_decompress=False,
            keepalive_timeout=75.0,
            lingering_time=self._settings.limits.close,
            shutdown_timeout=self._settings.limits.stop,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host or None, self._asked_port).start()
        except OSError:
            await self.close()
            raise
        self._warn_if_exposed()
        logger.info("relay listens on %s", self.url)

    async def close(self) -> None:
        """Stop listening, let running requests finish, tell every subscriber, and close. Safe to repeat."""
        runner, self._runner = self._runner, None
        if runner is None or self._sockets is None:
            return
        for site in runner.sites:
            await site.stop()
        await self._sockets.close()
        await runner.cleanup()

    @property
    def port(self) -> int:
        """The port it listens on, once it is started."""
        if self._runner is None or not self._runner.addresses:
            return self._asked_port
        return int(self._runner.addresses[0][1])

    @property
    def url(self) -> str:
        """Base URL without a trailing slash."""
        host = self._host or "127.0.0.1"
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def socket_url(self) -> str:
        """Where subscribers connect."""
        return self.url.replace("http", "ws", 1) + "/v1/socket"

    @property
    def subscribers(self) -> int:
        """Connections that are subscribed now."""
        return 0 if self._sockets is None else self._sockets.subscribers

    def webhook_url(self, bucket: str) -> str:
        """The public URL of a bucket's first input.

        Raises:
            LookupError: there is no such bucket, or it has no input.
        """
        inputs = [one.inputs[0].id for one in self._settings.buckets if one.name == bucket and one.inputs]
        if not inputs:
            raise LookupError(bucket)
        return f"{self.url}{PREFIX}{inputs[0]}"

    def _application(self, sockets: Sockets) -> web.Application:
        inbound = Inbound(self._settings, self.hub, self.counters)
        app = web.Application(client_max_size=self._settings.limits.body)
        app.router.add_route("*", PREFIX + "{rest:.*}", inbound.handle)
        app.router.add_get("/v1/socket", sockets.handle, allow_head=False)
        app.router.add_get("/healthz", _healthy)
        app.on_response_prepare.append(_say_no_version)
        return app

    def _warn_if_exposed(self) -> None:
        guessable = [
            entry.name
            for bucket in self._settings.buckets
            for entry in bucket.inputs
            if entry.id == derived_id(bucket.name, entry.name)
        ]
        if guessable and not _is_loopback(self._host):
            logger.warning(
                "%d inputs have URLs that can be guessed from their names: give each an id",
                len(guessable),
            )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not where a stranger sent what is not HTTP: aiohttp would log it with a traceback, every time."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_logger.addFilter(_is_worth_a_line)


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _say_no_version(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
