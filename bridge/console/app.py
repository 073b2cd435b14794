"""What the console answers, address by address."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final

from aiohttp import web

from bridge.console.events import Feed
from bridge.console.guard import Guard, middleware
from bridge.console.health import obstacles
from bridge.console.history import History
from bridge.console.views import as_json, way_view
from bridge.console.watched import Watched
from bridge.control import Handler
from bridge.errors import BridgeError
from bridge.web import page
from bridge.web.origin import add_headers

PAGES: Final = Path(__file__).parent / "page"
SCRIPTS: Final = ("base", "state", "webhooks", "letters", "routes")
"""Parts of the console's own, which comes last."""
MAX_REQUEST: Final = 64 * 1024
"""Bytes."""
MUTATIONS: Final = {"/dead/retry": "dead-retry", "/dead/purge": "dead-purge", "/reload": "reload"}
"""Commands of the control socket that the page may give, by their addresses."""


def make_app(
    daemon: Watched,
    operations: Mapping[str, Handler],
    guard: Guard,
    history: History,
    *,
    bodies: bool,
) -> web.Application:
    """The console's application. Its operations are those of the control socket."""
    app = web.Application(client_max_size=MAX_REQUEST, middlewares=[middleware(guard)])
    app.on_response_prepare.append(add_headers)
    feed = Feed(daemon, history)

    async def close_feed(_app: web.Application) -> None:
        feed.close()

    app.on_shutdown.append(close_feed)
    app.router.add_get("/events", feed.serve)
    _add_pages(app, guard)
    _add_probes(app, daemon)
    _add_webhooks(app, daemon, bodies=bodies)
    _add_operations(app, operations)
    return app


def _add_pages(app: web.Application, guard: Guard) -> None:
    async def show(request: web.Request) -> web.Response:
        return _page("console", *SCRIPTS) if guard.knows(request) else _page("login")

    async def log_in(request: web.Request) -> web.Response:
        form = await request.post()
        if not guard.accepts(request, str(form.get("token", ""))):
            return _page("login", status=403)
        response = web.HTTPSeeOther("/")
        guard.let_in(response)
        raise response

    app.router.add_get("/", show)
    app.router.add_post("/login", log_in)


def _add_probes(app: web.Application, daemon: Watched) -> None:
    async def health(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")  # who answers, lives

    async def ready(_request: web.Request) -> web.Response:
        reasons = await obstacles(daemon)
        return web.Response(text="\n".join(reasons or ["ok"]) + "\n", status=503 if reasons else 200)

    async def metrics(_request: web.Request) -> web.Response:
        # Loaded when first asked for: most households have no Prometheus.
        module = await asyncio.to_thread(import_module, "bridge.console.metrics")
        headers = {"Content-Type": module.CONTENT_TYPE}
        return web.Response(body=module.exposition(daemon), headers=headers)

    app.router.add_get("/healthz", health)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", metrics)


def _add_webhooks(app: web.Application, daemon: Watched, *, bodies: bool) -> None:
    async def way(request: web.Request) -> web.Response:
        passage = daemon.passages.find(int(request.match_info["number"]))
        if passage is None:
            return _json({"error": "this webhook is not among the last ones any more"}, 404)
        return _json(way_view(passage, daemon.config, bodies=bodies))

    app.router.add_get(r"/webhooks/{number:\d{1,15}}", way)


def _add_operations(app: web.Application, operations: Mapping[str, Handler]) -> None:
    async def listed(request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        return await _carry_out(operations["dead-list"], {"after": int(after) if after.isdecimal() else None})

    app.router.add_get("/dead", listed)
    for address, name in MUTATIONS.items():
        app.router.add_post(address, _mutation(operations[name]))


def _mutation(operation: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def carry_out(request: web.Request) -> web.Response:
        try:
            fields = await request.json() if request.can_read_body else {}
        except (json.JSONDecodeError, UnicodeDecodeError):
            return _json({"error": "the request is not JSON"}, 400)
        if not isinstance(fields, dict):
            return _json({"error": "a JSON object is expected"}, 400)
        return await _carry_out(operation, fields)

    return carry_out


async def _carry_out(operation: Handler, fields: Mapping[str, object]) -> web.Response:
    try:
        return _json(await operation(fields))
    except BridgeError as error:
        return _json({"error": str(error)}, 409)


def _page(name: str, *parts: str, status: int = 200) -> web.Response:
    return page.respond(page.load(PAGES, name, *parts), status)


def _json(answer: object, status: int = 200) -> web.Response:
    return web.Response(body=as_json(answer), status=status, content_type="application/json")
