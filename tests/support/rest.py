"""A scripted REST interface of a relay on port 0: lists, pages and refuses as a test says."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any

import orjson
from aiohttp import web

from bridge.config.model import RelaySettings
from bridge.secret import Secret

KEY, SECRET = "the-key", "the-s3cr3t"
BUCKET = "bucket-id"
BASIC = "Basic " + base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
NOW = 1_800_000_000.0


def an_entry(number: int, created: float | str = NOW, **fields: Any) -> dict[str, Any]:
    """A log entry as the service has it; its ID is its number."""
    return {
        "id": str(number),
        "created_at": created,
        "bucket_id": BUCKET,
        "input_id": "input-id",
        "output_id": "",
        "status": "sent",
        "method": "POST",
        "raw_query": "",
        "headers": {"Content-Type": "application/json"},
        "body": str(number),
        "extra_path": "",
        **fields,
    }


@dataclass
class ScriptedRest:
    """What a test sees, and its switches."""

    port: int = 0
    now: float = NOW
    """What the Date header of answers says."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    """Oldest first."""
    descending: bool = False
    paging: str = "cursor"
    """Or offset, as an older client reads it."""
    limit: int = 100
    """Entries of a page at most, whatever is asked for."""
    refusals: list[web.Response] = field(default_factory=list)
    """Answers to the next requests for the log, instead of a page."""
    buckets: Any = None
    """The answer to `/v1/buckets`; None: 404."""
    queries: list[dict[str, str]] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    extra: dict[str, Any] = field(default_factory=dict)
    """Further fields of each page."""

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/socket"

    @property
    def settings(self) -> RelaySettings:
        return RelaySettings(self.url, KEY, Secret(SECRET), (BUCKET,))

    async def list_buckets(self, request: web.Request) -> web.Response:
        self.authorizations.add(request.headers.get("Authorization", ""))
        if self.buckets is None:
            return web.Response(status=404)
        return web.Response(body=orjson.dumps(self.buckets))

    async def show(self, request: web.Request) -> web.Response:
        found = [one for one in self.entries if one["id"] == request.match_info["id"]]
        whole = {**found[0], "body": found[0].get("body", "detail")} if found else {}
        return web.Response(body=orjson.dumps(whole), status=200 if found else 404)

    async def list_logs(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.queries.append(query)
        if self.refusals:
            return self.refusals.pop(0)
        start, end = (datetime.fromisoformat(query[name]).timestamp() for name in ("from", "to"))
        found = [one for one in self.entries if start <= _time(one) <= end]
        if self.descending:
            found.reverse()
        first = int(query.get(self.paging, "0"))
        size = min(self.limit, int(query["limit"]))
        page = {"data": found[first : first + size], **self.extra}
        if self.paging == "offset":
            page |= {"total": len(found), "offset": first, "limit": size}
        elif first + size < len(found):
            page |= {"next_cursor": first + size}
        return web.Response(body=orjson.dumps(page))

    async def dated(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = formatdate(self.now, usegmt=True)


def _time(entry: dict[str, Any]) -> float:
    created = entry["created_at"]
    return datetime.fromisoformat(created).timestamp() if isinstance(created, str) else float(created)


def rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


@asynccontextmanager
async def scripted_rest() -> AsyncIterator[ScriptedRest]:
    """An interface that serves."""
    rest = ScriptedRest()
    app = web.Application()
    app.router.add_get("/v1/buckets", rest.list_buckets)
    app.router.add_get("/v1/logs", rest.list_logs)
    app.router.add_get("/v1/logs/{id}", rest.show)
    app.on_response_prepare.append(rest.dated)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest.port = runner.addresses[0][1]
    try:
        yield rest
    finally:
        await runner.cleanup()
