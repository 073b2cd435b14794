"""Public outputs: the relay itself calls an HTTP address with each webhook, and again where that can help.

No redirect is followed, since it would carry a webhook and its headers to somebody else. A relay with a state
folder takes up after a restart what had no outcome yet.
"""

import asyncio
import base64
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Final

import aiohttp
import orjson
from yarl import URL

from bridge.selfhosted.answers import Answer, answer_of
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.history import Frame, Outcome
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import MIB, Limits, Output
from bridge.selfhosted.wire import payload_of

logger = logging.getLogger(__name__)

AT_ONE_PLACE: Final = 8
"""Calls at the same time to one host."""
LONGEST_ANSWER: Final = 3 * MIB
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 30.0
_QUIET: Final = 60.0
"""Seconds between two lines about calls that there is no room for."""
_WORTH_A_RETRY: Final = frozenset({408, 425, 429, 500, *range(502, 600)})
# They belong to one connection (RFC 9110, section 7.6.1), or follow from the body.
_OF_THE_CONNECTION: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "upgrade",
    }
)
_ADDED_BY_AIOHTTP: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

Report = Callable[[str, Outcome, Answer | None], Awaitable[None]]
"""Told a frame's ID, what became of it, and the answer that somebody may wait for."""


class Outbound:
    """Calls the public outputs, until it is closed.

    Args:
        registry: where a bucket's outputs are found.
        limits: how much may be under way.
        counters: counted in.
        report: told about every call's end.
    """

    def __init__(self, registry: Registry, limits: Limits, counters: Counters, report: Report) -> None:
        self._registry = registry
        self._limits = limits
        self._counters = counters
        self._report = report
        self._session: aiohttp.ClientSession | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._bytes = 0
        self._slots = asyncio.Semaphore(limits.calls)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(AT_ONE_PLACE)
        )
        self._quiet_until = 0.0

    def offer(self, frame: Frame, output_name: str) -> None:
        """Call an output with a frame soon; one that there is no room for has failed."""
        if (
            len(self._calls) >= self._limits.calls_frames
            or self._bytes + frame.size > self._limits.calls_bytes
        ):
            self._counters.calls_failed += 1
            self._tell_full()
            self._run(self._refuse(frame), 0)
            return
        self._run(self._deliver(frame, output_name), frame.size)

    async def close(self) -> None:
        """Give up what is not done."""
        for call in self._calls:
            call.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        if self._session is not None:
            await self._session.close()

    def _run(self, work: Coroutine[Any, Any, None], size: int) -> None:
        self._bytes += size
        call = asyncio.create_task(work, name="public output")
        self._calls.add(call)
        call.add_done_callback(lambda done: self._ended(done, size))

    async def _refuse(self, frame: Frame) -> None:
        await self._report(frame.origin.id, Outcome("failed"), None)

    def _ended(self, call: asyncio.Task[None], size: int) -> None:
        self._calls.discard(call)
        self._bytes -= size
        if not call.cancelled() and (error := call.exception()) is not None:
            logger.error("a call of a public output broke", exc_info=error)

    async def _deliver(self, frame: Frame, output_name: str) -> None:
        """Call until it worked or is in vain."""
        began, retries = time.monotonic(), 0
        sent = orjson.loads(payload_of(frame.exact or frame.wire))
        while True:
            output = self._output(frame.bucket_id, output_name)
            if output is None:  # it was removed, or disabled
                answer, pause = None, None
                break
            answer, pause = await self._attempt(output, sent)
            if pause is None or retries >= output.retries:
                break
            await asyncio.sleep(max(pause, _pause(retries)))
            retries += 1
        status = answer.status if answer else 0
        good = 200 <= status < 300
        self._counters.called += good
        self._counters.calls_failed += not good
        took = round((time.monotonic() - began) * 1000)
        outcome = Outcome("sent" if good else "failed", status, retries, took)
        await self._report(frame.origin.id, outcome, answer)

    def _output(self, bucket_id: str, name: str) -> Output | None:
        bucket = self._registry.catalog.bucket(bucket_id)
        outputs = bucket.outputs if bucket else ()
        return next(
            (one for one in outputs if one.name == name and not one.internal and not one.disabled), None
        )

    async def _attempt(self, output: Output, sent: dict[str, Any]) -> tuple[Answer | None, float | None]:
        """One call: its answer if there was one, and the least pause before another one, if that can help."""
        try:
            url = _url(sent)
            async with self._places[url.raw_authority], self._slots, asyncio.timeout(output.timeout):
                return await self._call(url, sent)
        except ValueError:  # a path that no URL can have
            return None, None
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            logger.debug("output %a: %s", output.name, type(error).__name__)
            return None, 0.0

    async def _call(self, url: URL, sent: dict[str, Any]) -> tuple[Answer, float | None]:
        async with self._opened().request(
            sent["method"],
            url,
            headers=list(_headers(sent)),
            data=_body(sent) or None,
            allow_redirects=False,
            skip_auto_headers=_ADDED_BY_AIOHTTP,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > LONGEST_ANSWER:
                    response.close()
                    break
            answer = answer_of(response.status, response.headers.items(), bytes(body[:LONGEST_ANSWER]))
            return answer, _asked_pause(response) if response.status in _WORTH_A_RETRY else None

    def _opened(self) -> aiohttp.ClientSession:
        """Made when the first public output is called: most relays have none."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _tell_full(self) -> None:
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _QUIET
            logger.warning("no room for calls of public outputs: %d wait already", len(self._calls))


def _url(sent: dict[str, Any]) -> URL:
    """The destination, which holds the request's path already, with the request's query after its own."""
    url = URL(sent["meta"]["output_destination"], encoded=True)
    query = "&".join(filter(None, (url.raw_query_string, sent["query"])))
    return URL.build(
        scheme=url.scheme, authority=url.raw_authority, path=url.raw_path, query_string=query, encoded=True
    )


def _headers(sent: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, values in sent["headers"].items():
        if name.lower() not in _OF_THE_CONNECTION:
            yield from ((name, value) for value in values)


def _body(sent: dict[str, Any]) -> bytes:
    body = sent["body"].encode()
    return base64.b64decode(body) if "body_encoding" in sent else body


def _pause(retries: int) -> float:
    """Before the next attempt: doubling, and not at the same moment for all."""
    return min(FIRST_PAUSE * 2.0**retries, LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311  # no secret


def _asked_pause(response: aiohttp.ClientResponse) -> float:
    asked: str = response.headers.get("Retry-After", "")
    if not (asked.isascii() and asked.isdigit() and len(asked) < 6):
        return 0.0
    return min(float(asked), LONGEST_PAUSE)
