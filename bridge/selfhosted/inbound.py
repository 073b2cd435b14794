"""The public endpoint `/v1/webhooks/{input ID}`: takes a request in, and gives the input's answer.

A stranger can't find out which inputs exist: one that doesn't exist answers as one with the default settings.
"""

import asyncio
import logging
import time
from typing import Final

import orjson
from aiohttp import web
from multidict import CIMultiDict

from bridge.selfhosted.counters import Counters
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.resources import Bucket, Input, Settings
from bridge.selfhosted.webhooks import frames_of, printable

logger = logging.getLogger(__name__)

PREFIX: Final = "/v1/webhooks/"
_NOBODY: Final = Input("", "")


class Inbound:
    """Every public input."""

    def __init__(self, settings: Settings, hub: Hub, counters: Counters) -> None:
        self._limits = settings.limits
        self._inputs = {entry.id: (bucket, entry) for bucket in settings.buckets for entry in bucket.inputs}
        self._hub = hub
        self._counters = counters
        self._requests = 0

    async def handle(self, request: web.Request) -> web.Response:
        """One public request, with any method, path and query."""
        if self._requests >= self._limits.requests:
            return web.Response(status=503, headers={"Retry-After": "1"})
        self._requests += 1
        try:
            async with asyncio.timeout(self._limits.request_time):
                body = await self._body(request)
        except TimeoutError:
            return web.Response(status=408)
        except web.HTTPRequestEntityTooLarge:
            self._counters.too_large += 1
            return web.Response(status=413, text="too large\n")
        finally:
            self._requests -= 1
        return self._answer(request, body)

    async def _body(self, request: web.Request) -> bytes:
        """The body.

        Raises:
            web.HTTPRequestEntityTooLarge: it is too large, by itself or as JSON text.
        """
        limit = self._limits.body
        length = request.content_length or 0
        if length <= limit:
            body = await request.read()
            length = len(body)
            if length * 6 <= self._limits.body_json or self._fits(body):
                return body
        raise web.HTTPRequestEntityTooLarge(max_size=limit, actual_size=length)

    def _fits(self, body: bytes) -> bool:
        return len(orjson.dumps(body.decode("utf-8", "replace"))) <= self._limits.body_json

    def _answer(self, request: web.Request, body: bytes) -> web.Response:
        # As it was sent: a path decoded and encoded again may be another one.
        input_id, _, rest = request.rel_url.raw_path.removeprefix(PREFIX).partition("/")
        found = self._inputs.get(input_id)
        if found is None:
            self._counters.unknown_input += 1
            logger.debug("webhook for an unknown input %a", input_id[:100])
            return _static(_NOBODY)
        self._counters.received += 1
        bucket, entry = found
        self._publish(request, bucket, entry, printable(f"/{rest}"), body)
        return _static(entry)

    def _publish(self, request: web.Request, bucket: Bucket, entry: Input, path: str, body: bytes) -> None:
        frames = frames_of(
            bucket,
            entry,
            method=request.method,
            path=path,
            query=printable(request.rel_url.raw_query_string),
            headers=request.headers.items(),
            body=body,
            now=time.time(),
        )
        for text in frames:
            self._hub.publish(bucket.id, text)


def _static(entry: Input) -> web.Response:
    headers = CIMultiDict(entry.headers)
    if entry.body:
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    return web.Response(status=entry.status, body=entry.body.encode() or None, headers=headers)
