"""Public requests for inputs: takes a request in, and gives the answer to it.

A stranger can't find out which inputs exist: one that doesn't exist answers as one with the default settings,
and takes as long.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import orjson
from aiohttp import web
from multidict import CIMultiDict

from bridge.selfhosted.answers import Answer, Answers
from bridge.selfhosted.attempts import Attempts
from bridge.selfhosted.catalog import Endpoint
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import EngineUnavailable, Publishing
from bridge.selfhosted.gate import ATTEMPTS
from bridge.selfhosted.history import Origin
from bridge.selfhosted.rates import Rates
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import ANY_OUTPUT, Auth, Input, Limits
from bridge.selfhosted.rules import Facts
from bridge.selfhosted.template import fill
from bridge.selfhosted.webhooks import Copy, facts_of, frames_of

logger = logging.getLogger(__name__)

_NOBODY: Final = Input("", "")


class Inbound:
    """Every public input. A sender has its answer when the webhook is as safe as the engine makes it."""

    def __init__(
        self,
        registry: Registry,
        limits: Limits,
        counters: Counters,
        answers: Answers,
        publisher: Publishing,
    ) -> None:
        self._registry = registry
        self._limits = limits
        self._counters = counters
        self._answers = answers
        self._publisher = publisher
        self._rates = Rates()
        self._attempts = Attempts(ATTEMPTS)
        self._requests = 0

    async def handle(self, request: web.Request) -> web.Response:
        """One public request, with any method, path and query."""
        # As it was sent: a path decoded and encoded again may be another one.
        found = self._registry.catalog.endpoint(request.host, request.rel_url.raw_path)
        if found is not None and (refusal := self._refusal(found, request)) is not None:
            return refusal
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
        try:
            return await (self._unknown(request) if found is None else self._answer(found, request, body))
        except EngineUnavailable:
            return web.Response(status=503, headers={"Retry-After": "5"})

    def _refusal(self, found: Endpoint, request: web.Request) -> web.Response | None:
        """What is said to a sender without credentials, or to one that sends too much."""
        auth, entry = found.bucket.auth, found.entry
        if auth is not None and (refusal := self._denial(auth, found.bucket.id, request)) is not None:
            self._counters.denied += 1
            return refusal
        wait = self._rates.wait(entry.id, entry.rate, time.monotonic()) if entry.rate else 0.0
        if wait:
            self._counters.limited += 1
            return _later(wait)
        return None

    def _denial(self, auth: Auth, bucket_id: str, request: web.Request) -> web.Response | None:
        """What is said to a sender without the credentials that its bucket wants, or to one that guesses."""
        header = request.headers.get("Authorization", "")
        # By bucket too: senders of one service share addresses, and one of them may be set up wrongly.
        who, now = f"{bucket_id} {request.remote or ''}", time.monotonic()
        if header and (wait := self._attempts.wait(who, now)):
            return _later(wait)
        if _admits(auth, header):
            return None
        if header:
            self._attempts.failed(who, now)
        scheme = "Bearer" if auth.username is None else "Basic"
        return web.Response(status=401, headers={"WWW-Authenticate": f'{scheme} realm="webhooks"'})

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

    async def _unknown(self, request: web.Request) -> web.Response:
        self._counters.unknown_input += 1
        logger.debug("webhook for an unknown input %a", request.rel_url.raw_path[:100])
        if wait := self._publisher.typical_wait:
            await asyncio.sleep(wait)
        return _static(_NOBODY)

    async def _answer(self, found: Endpoint, request: web.Request, body: bytes) -> web.Response:
        self._counters.received += 1
        entry = found.entry
        query, headers = request.rel_url.raw_query_string, request.headers.items()
        facts = facts_of(request.method, found.path, query, headers, body)
        now = round(time.time(), 6)  # as the log shows it
        copies = list(frames_of(found.bucket, entry, facts, now))
        origin = Origin("", now, facts.path, request.remote or "")
        publish = partial(
            self._publisher.publish, found.bucket.id, copies, origin, ephemeral=found.bucket.ephemeral
        )
        answer = None
        if answering := _answering(entry, copies):
            async with self._answers.expected(answering) as future:
                await publish()
                answer = await self._answers.within(entry.timeout, future)
        else:
            await publish()
        if answer is not None:
            return _passed_on(answer)
        return _templated(entry, facts, copies) if entry.template else _static(entry)


def _later(seconds: float) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": str(math.ceil(seconds))})


def _admits(auth: Auth, header: str) -> bool:
    """Whether a sender shows what its bucket asks for; takes the same time whatever differs."""
    scheme, _, value = header.partition(" ")
    shown = value.strip().encode("utf-8", "surrogateescape")
    if auth.username is None:
        return scheme.lower() == "bearer" and hmac.compare_digest(shown, auth.secret.reveal().encode())
    try:
        shown = base64.b64decode(shown, validate=True)
    except binascii.Error:
        return False
    expected = f"{auth.username}:{auth.secret.reveal()}".encode()
    return scheme.lower() == "basic" and hmac.compare_digest(shown, expected)


def _answering(entry: Input, copies: Sequence[Copy]) -> list[str]:
    """The log IDs of the frames whose receivers may answer."""
    wanted = entry.response_from_output
    return [one.id for one in copies if wanted is not None and wanted in (ANY_OUTPUT, one.output)]


def _passed_on(answer: Answer) -> web.Response:
    headers = CIMultiDict(answer.headers)
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)


def _static(entry: Input) -> web.Response:
    return _own(entry, entry.body)


def _templated(entry: Input, facts: Facts, copies: Sequence[Copy]) -> web.Response:
    content_type = CIMultiDict(entry.headers).get("Content-Type", "text/plain")
    return _own(entry, fill(entry.body, facts, copies[0].id if copies else "", content_type))


def _own(entry: Input, body: str) -> web.Response:
    headers = CIMultiDict(entry.headers)
    if body:
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
    return web.Response(status=entry.status, body=body.encode() or None, headers=headers)
