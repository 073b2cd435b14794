"""The self-hosted relay as a whole: one HTTP server with the public inputs and the subscribers' socket."""

import logging
from collections.abc import Callable
from dataclasses import replace

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bridge.selfhosted.api import document
from bridge.selfhosted.api.buckets import Buckets
from bridge.selfhosted.api.changes import Changes
from bridge.selfhosted.api.clients import Clients
from bridge.selfhosted.api.door import Door, not_found_but
from bridge.selfhosted.api.logs import Logs
from bridge.selfhosted.api.tokens import Tokens
from bridge.selfhosted.catalog import PREFIX
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import Engine
from bridge.selfhosted.engines import check_nats
from bridge.selfhosted.gate import Gate
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.idle import IdleConnections
from bridge.selfhosted.inbound import Inbound
from bridge.selfhosted.local import LocalEngine
from bridge.selfhosted.management import Management
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.proxies import Proxies
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Settings, derived_id
from bridge.selfhosted.session import House
from bridge.selfhosted.sockets import Sockets
from bridge.selfhosted.tls import Certificate
from bridge.web.hosts import is_loopback

logger = logging.getLogger(__name__)
_http_logger = logging.getLogger(f"{__name__}.http")

Interface = Callable[[web.UrlDispatcher], None]
"""Adds the HTTP interface to a router."""


class SelfHostedRelay:
    """A relay that runs in the event loop of its caller.

    Args:
        settings: what it serves.
        host: the address to listen on, instead of the settings' one.
        port: likewise; 0 lets the system choose.
    """

    def __init__(self, settings: Settings, *, host: str | None = None, port: int | None = None) -> None:
        self.counters = Counters()
        self._certificate = Certificate(settings.tls) if settings.tls else None
        self._engine = _engine(settings, self.counters)
        self.registry = Registry(
            settings.tokens, settings.buckets, self._engine.shelf, ephemeral=settings.engine is None
        )
        self._settings = settings
        self._host = settings.host if host is None else host
        self._asked_port = settings.port if port is None else port
        self._gate = Gate(self.registry)
        house = House(self.registry, self._gate, self._engine, settings.limits, self.counters)
        self._sockets = Sockets(house)
        self._outbound = Outbound(self.registry, settings.limits, self.counters, self._engine.called)
        self._idle = IdleConnections(settings.limits.idle, self.counters)
        self._runner: web.AppRunner | None = None
        self._management: Management | None = None

    async def start(self) -> None:
        """Start to listen.

        Raises:
            OSError: the address can't be used.
            StoreError: the folder of the log can't.
            ShelfError: what the interface made can't be read.
            VaultError: the folder was made with another key.
            EngineUnavailable: NATS can't be used now.
        """
        try:
            await self._start()
        except BaseException:
            await self.close()
            raise
        self._warn_if_exposed()
        logger.info("relay listens on %s", self.url)

    async def _start(self) -> None:
        await self._engine.open(self.refresh)
        self.registry.read()
        await self._engine.start(self.registry, self._outbound)
        interface = self._interface()
        self._runner = web.AppRunner(
            self._application(interface),
            logger=_http_logger,
            access_log=None,
            # A body goes on as it came; nobody's gzip bomb is unpacked here.
            auto_decompress=False,
            keepalive_timeout=75.0,
            lingering_time=self._settings.limits.close,
            shutdown_timeout=self._settings.limits.stop,
        )
        await self._runner.setup()
        if self._runner.server is not None:
            self._idle.watch(self._runner.server)
        tls = self._certificate.context if self._certificate else None
        await web.TCPSite(self._runner, self._host or None, self._asked_port, ssl_context=tls).start()
        if self._settings.manage is not None:
            idle = IdleConnections(self._settings.limits.idle, self.counters)
            self._management = Management(self._settings.manage, self.public_url, interface, idle)
            await self._management.start()
        if self._certificate is not None:
            self._certificate.watch()

    async def close(self) -> None:
        """Stop listening, let running requests finish, tell every subscriber, and close. Safe to repeat."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for site in runner.sites:
                await site.stop()
            if self._certificate is not None:
                self._certificate.close()
            if self._management is not None:
                await self._management.close()
            await self._idle.close()
            await self._sockets.close()
            await runner.cleanup()
        await self._outbound.close()
        self._gate.close()
        await self._engine.close()

    def use(self, settings: Settings) -> None:
        """Serve other declared tokens and buckets from now on. The rest of the settings needs a restart."""
        now = self._settings
        if replace(now, tokens=(), buckets=()) != replace(settings, tokens=(), buckets=()):
            logger.warning("all but tokens and buckets is used when the relay is started again")
        self.registry.declare(settings.tokens, settings.buckets)
        self._sockets.reconcile()

    def refresh(self) -> None:
        """Take up what somebody else, such as the command line, made."""
        self.registry.read()
        self._sockets.reconcile()

    @property
    def hub(self) -> Hub:
        """The fan-out of a relay that is one process.

        Raises:
            TypeError: it may be several.
        """
        if not isinstance(self._engine, LocalEngine):
            raise TypeError("this relay is not one process")
        return self._engine.hub

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
        scheme = "https" if self._certificate else "http"
        return f"{scheme}://[{host}]:{self.port}" if ":" in host else f"{scheme}://{host}:{self.port}"

    @property
    def public_url(self) -> str:
        """Where senders reach it, without a trailing slash."""
        return self._settings.public_url or self.url

    @property
    def management_url(self) -> str:
        """Where the management page is; "" where it isn't."""
        return "" if self._management is None else self._management.url

    @property
    def socket_url(self) -> str:
        """Where subscribers connect."""
        return self.url.replace("http", "ws", 1) + "/v1/socket"

    @property
    def subscribers(self) -> int:
        """Connections that are subscribed now."""
        return self._sockets.subscribers

    @property
    def operations(self) -> set[tuple[str, str]]:
        """Method and path of everything under `/v1/` but the inputs."""
        routes = () if self._runner is None else self._runner.app.router.routes()
        found = ((one.method, one.resource.canonical) for one in routes if one.resource is not None)
        return {one for one in found if one[1].startswith("/v1/") and not one[1].startswith(PREFIX)}

    def webhook_url(self, bucket: str) -> str:
        """The public URL of a bucket's first input.

        Raises:
            LookupError: there is no such bucket, or it has no input.
        """
        found = self.registry.catalog.bucket(bucket)
        if found is None or not found.inputs:
            raise LookupError(bucket)
        return f"{self.url}{PREFIX}{found.inputs[0].id}"

    def _application(self, interface: Interface) -> web.Application:
        limits = self._settings.limits
        engine = self._engine
        inbound = Inbound(self.registry, engine.limits, self.counters, engine.answers, engine.publisher)
        elsewhere = not_found_but(inbound.handle)
        proxies = Proxies(self._settings.trusted_proxies)
        middlewares = [self._idle.middleware, proxies.middleware, elsewhere]
        app = web.Application(client_max_size=limits.body, middlewares=middlewares)
        app.router.add_get("/v1/socket", self._sockets.handle, allow_head=False)
        app.router.add_get("/healthz", _healthy)
        app.router.add_route("*", PREFIX + "{rest:.*}", inbound.handle)
        interface(app.router)
        app.on_response_prepare.append(_say_no_version)
        app.on_shutdown.append(engine.answers.close)
        return app

    def _interface(self) -> Interface:
        """The HTTP interface, the same wherever it is served."""
        door = Door(self._gate, self.counters)
        changes = Changes(self._sockets.reconcile)
        handlers = (
            Logs(self.registry, self._engine),
            Buckets(self.registry, changes),
            Tokens(self.registry, changes),
            Clients(self.registry, self._sockets),
        )

        def add_to(router: web.UrlDispatcher) -> None:
            for one in handlers:
                one.add_to(router, door)
            router.add_get("/v1/openapi.json", document.serve)

        return add_to

    def _warn_if_exposed(self) -> None:
        guessable = [
            entry.name
            for bucket in self._settings.buckets
            for entry in bucket.inputs
            if entry.id == derived_id(bucket.name, entry.name)
        ]
        if guessable and not is_loopback(self._host):
            logger.warning(
                "%d inputs have URLs that can be guessed from their names: give each an id",
                len(guessable),
            )


def _engine(settings: Settings, counters: Counters) -> Engine:
    if settings.engine is None:
        return LocalEngine(settings, counters)
    check_nats()
    from bridge.selfhosted.nats.engine import NatsEngine  # noqa: PLC0415  # few relays need nats-py

    return NatsEngine(settings.engine, settings.limits, counters)


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """Not where a stranger sent what is not HTTP: aiohttp would log it with a traceback, every time."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_logger.addFilter(_is_worth_a_line)


async def _healthy(_request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _say_no_version(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
