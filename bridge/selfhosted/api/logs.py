"""The log: `GET /v1/logs`, `GET` and `PUT /v1/logs/{id}`, `POST /v1/logs/{id}/action` and `GET /v1/events`.

Shapes and fields are those of the service's REST API; pages go on by cursor, the oldest entry first, and
`complete_since` says from when on nothing is missing.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from bridge.relay.frames import BASE64
from bridge.selfhosted.answers import BadAnswer, parse_answer
from bridge.selfhosted.api import query as parameters
from bridge.selfhosted.api.door import ApiError, Door, json_response, read_body, read_object
from bridge.selfhosted.engine import Engine
from bridge.selfhosted.history import Frame, Outcome, Query
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import KIB, MIB, Bucket, Token
from bridge.selfhosted.wire import payload_of

PAGE: Final = 50
LARGEST_PAGE: Final = 100
PAGE_BYTES: Final = 8 * MIB
AT_ONCE: Final = 4
"""Answers that are made at the same time: each may hold a page in memory."""
ANSWERS_AT_ONCE: Final = 16
"""Answers of subscribers that are read at the same time."""
ANSWER_SECONDS: Final = 10.0
MOST_POLLERS: Final = 10_000
STATUSES: Final = ("sent", "failed", "stalled", "received", "rejected")


class Logs:
    """Answers who has a token, about the buckets that the token may see."""

    def __init__(self, registry: Registry, engine: Engine) -> None:
        self._registry = registry
        self._engine = engine
        self._log = engine.log
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._answer_turns = asyncio.Semaphore(ANSWERS_AT_ONCE)
        # Base64 makes four bytes of three.
        self._largest_answer = engine.limits.body * 4 // 3 + 64 * KIB
        self._polled: OrderedDict[tuple[str, str, str], int] = OrderedDict()
        """Position of the last event that was handed out, by token, bucket and output as asked for."""

    def add_to(self, router: web.UrlDispatcher, door: Door) -> None:
        """Serve them."""
        router.add_get("/v1/logs", door.reading(self.page), allow_head=False)
        router.add_get("/v1/events", door.reading(self.events), allow_head=False)
        router.add_get("/v1/logs/{id}", door.reading(self.show), allow_head=False)
        router.add_put("/v1/logs/{id}", door.reading(self.answer))
        router.add_post("/v1/logs/{id}/action", door.reading(self.action))

    async def page(self, request: web.Request, token: Token) -> web.Response:
        """A page of the log."""
        asked = request.query
        query = self._query(asked, token, asked.get("bucket", ""))
        status = parameters.choice(asked, "status", STATUSES)
        async with self._turns:
            found = await self._log.select(query)
            shown = [self._entry(one, asked) for one in found.frames]
            since = self._complete_since(query)
            return json_response(
                {
                    "data": [one for one in shown if status in ("", one["status"])],
                    "next_cursor": str(found.frames[-1].position) if found.more else None,
                    "has_more": found.more,
                    "complete_since": parameters.rfc3339(since),
                }
            )

    async def events(self, request: web.Request, token: Token) -> web.Response:
        """The next webhooks for a client that polls. Without a cursor, those after the ones it had last."""
        asked = request.query
        bucket, output = asked.get("bucket", ""), asked.get("output", "")
        if not bucket and not asked.get("cursor"):
            raise ApiError(400, "bucket or cursor is needed")
        poller = token.key, bucket, output
        query = self._query(asked, token, bucket, self._polled.get(poller, 0))
        async with self._turns:
            found = await self._log.select(query)
            frames = [one for one in found.frames if one.internal]
            entries = [self._entry(one, asked) for one in frames]
            entries = [one for one in entries if output in ("", one["output_name"], one["output_id"])]
            last = found.frames[-1].position if found.frames else query.after
            self._hand_out(poller, last, entries)
            return json_response({"logs": entries, "has_more": found.more, "next_cursor": str(last)})

    async def show(self, request: web.Request, token: Token) -> web.Response:
        """One entry."""
        async with self._turns:
            frame = await self._find(request, token)
            return json_response(self._entry(frame, request.query))

    async def answer(self, request: web.Request, token: Token) -> web.Response:
        """A subscriber's answer: for the sender where it still waits, and for the log."""
        log_id = request.match_info["id"]
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._answer_turns:
                answer = parse_answer(await read_body(request, self._largest_answer))
        except TimeoutError:
            raise ApiError(408, "too slow") from None
        except BadAnswer as error:
            raise ApiError(400, str(error)) from None
        if not await self._engine.answers.give(log_id, answer):
            await self._find(request, token)
        status = "sent" if answer.status < 400 else "failed"
        self._log.note(log_id, Outcome(status, answer.status))
        return json_response({"id": log_id, "status": status})

    async def action(self, request: web.Request, token: Token) -> web.Response:
        """`{"action": "resend"}`: the same webhook once more, as a new entry: no receiver drops it."""
        said = await read_object(request)
        if said.get("action") != "resend":
            raise ApiError(400, "action: resend is needed")
        frame = await self._find(request, token)
        bucket = self._registry.catalog.bucket(frame.bucket_id)
        ephemeral = bucket is not None and bucket.ephemeral
        again = await self._engine.publisher.resend(frame, ephemeral=ephemeral)
        return json_response(self._entry(again, request.query))

    def _complete_since(self, query: Query) -> float:
        """What is ephemeral is in memory only, whatever the disk still has of others."""
        asked = (one for one in self._registry.catalog.buckets if one.id in query.bucket_ids)
        return self._engine.complete_since(ephemeral=any(one.ephemeral for one in asked))

    async def _find(self, request: web.Request, token: Token) -> Frame:
        frame = await self._log.find(request.match_info["id"])
        if frame is None or not self._sees(token, frame.bucket_id):
            raise ApiError(404, "no such log entry")
        return frame

    def _sees(self, token: Token, bucket_id: str) -> bool:
        bucket = self._registry.catalog.bucket(bucket_id)
        return bucket is not None and token.may_see(bucket)

    def _hand_out(self, poller: tuple[str, str, str], last: int, entries: list[dict[str, Any]]) -> None:
        """Remember it before the answer goes out, as the service does: what gets lost there is in the log."""
        if len(self._polled) >= MOST_POLLERS and poller not in self._polled:
            self._polled.popitem(last=False)
        self._polled[poller] = last
        for one in entries:
            if one["status"] == "received":
                self._log.note(one["id"], Outcome("sent"))

    def _query(self, asked: Mapping[str, str], token: Token, bucket: str, after: int = 0) -> Query:
        start = parameters.moment(asked, "from", 0.0)
        if age := parameters.number(asked, "max_age", 0, 2**40):
            start = max(start, time.time() - age)
        return Query(
            self._wanted(token, bucket),
            start,
            parameters.moment(asked, "to", math.inf),
            parameters.number(asked, "cursor", after, 2**62),
            max(1, parameters.number(asked, "limit", PAGE, LARGEST_PAGE)),
            PAGE_BYTES,
        )

    def _wanted(self, token: Token, word: str) -> frozenset[str]:
        """The IDs of the bucket of this name or ID, or of all where there is no word."""
        visible = self._registry.catalog.visible(token)
        found = {one.id for one in visible if word in ("", one.name, one.id)}
        if word and not found:
            raise ApiError(400, "bucket: there is none of this name or ID")
        return frozenset(found)

    def _entry(self, frame: Frame, asked: Mapping[str, str]) -> dict[str, Any]:
        is_exact = frame.exact and asked.get("body_encoding") == BASE64
        sent: dict[str, Any] = orjson.loads(payload_of(frame.exact if is_exact else frame.wire))
        meta, origin = sent["meta"], frame.origin
        outcome = self._outcome(frame)
        bucket = self._registry.catalog.bucket(frame.bucket_id) or Bucket("", frame.bucket_id, ())
        return {
            "id": origin.id,
            "created_at": parameters.rfc3339(origin.created),
            "bucket_id": frame.bucket_id,
            "bucket_name": meta["bucket_name"],
            "input_id": meta["input_id"],
            "input_name": meta["input_name"],
            "output_id": bucket.output_id(meta["output_name"]),
            "output_name": meta["output_name"],
            "output_destination": meta["output_destination"],
            "internal": frame.internal,
            "status": outcome.status,
            "status_code": outcome.status_code,
            "method": sent["method"],
            "extra_path": origin.path,
            "raw_query": sent["query"],
            "headers": sent["headers"],
            "body": sent["body"],
            **({"body_encoding": BASE64} if is_exact else {}),
            "ip_address": origin.address,
            "retries": outcome.retries,
            "duration_ms": outcome.duration_ms,
        }

    def _outcome(self, frame: Frame) -> Outcome:
        """What was reported; else what follows from what subscribers confirmed."""
        if (reported := self._log.outcome(frame)) is not None:
            return reported
        was_sent = frame.internal and frame.position <= self._engine.reached(frame.bucket_id)
        return Outcome("sent" if was_sent else "received")
