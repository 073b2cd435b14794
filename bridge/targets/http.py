"""One HTTP service as a target: a request a delivery, a bounded number at a time."""

import asyncio
import io
import logging
import re
import time
from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bridge.config.model import ServiceSettings
from bridge.message import Answer, Delivered, Delivery, Failure, FailureKind, HttpRequest, Result
from bridge.routing.reply import LARGEST_BODY, answer_of_response
from bridge.targets.base import LastFailure, Listener, TargetState
from bridge.targets.http_connector import make_connector, tls_context
from bridge.targets.http_health import Health
from bridge.targets.http_status import judge_error, judge_status
from bridge.version import __version__

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5.0
LONGEST_ANSWER = LARGEST_BODY
"""Bytes of an answer that are read so that its connection can serve again, or for the webhook's sender."""
READ_BUFFER = 16 * 1024
USER_AGENT = f"relay-bridge/{__version__}"

_WIRE_READY = re.compile(r"[!-~]+")
_STOPPED = Failure(FailureKind.CONNECTION, "stopped", "the target was closed before the answer")
_BROKEN = Failure(FailureKind.BUSY, "internal", "the request failed inside the bridge; its log says where")


@dataclass(slots=True)
class _Trip:
    """How far one request came."""

    sent: bool = False


class HttpTarget:
    """Implements `bridge.targets.base.Target` for one service or origin.

    Raises:
        ConfigError: the service's certificate authority can't be used.
    """

    lane_window = 1

    def __init__(self, settings: ServiceSettings, listener: Listener) -> None:
        self.name = settings.target
        self._settings = settings
        self._listener = listener
        self._tls = True if settings.ca is None else tls_context(settings.ca)
        self._health = Health(self.name, self._say_available)
        self._session: aiohttp.ClientSession | None = None
        self._in_flight: dict[asyncio.Task[Result], Delivery] = {}

    def capacity(self) -> int:
        """How many more deliveries it takes now; 0 while it is down, paused or closed."""
        if self._session is None:
            return 0
        return max(0, self._health.window(self._settings.max_in_flight) - len(self._in_flight))

    def state(self) -> TargetState:
        """What the last answers say about it."""
        return self._health.state

    def last_failure(self) -> LastFailure | None:
        """The newest failure of a request."""
        return self._health.last_failure

    def resume(self) -> bool:
        """End the pause that a 410 began; False where there was none."""
        resumed = self._health.resume()
        if resumed:
            self._say_available()
        return resumed

    async def start(self) -> None:
        """Open the session; connections are made when there is something to send."""
        sent = aiohttp.TraceConfig()
        sent.on_request_headers_sent.append(_mark_sent)
        self._session = aiohttp.ClientSession(
            connector=make_connector(self._tls),
            timeout=aiohttp.ClientTimeout(total=self._settings.timeout, connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("Content-Type",),
            read_bufsize=READ_BUFFER,
            trace_configs=[sent],
        )
        self._say_available()

    async def close(self, timeout: float) -> None:
        """Finish what is in flight for at most `timeout` seconds, fail the rest, and disconnect."""
        session, self._session = self._session, None
        self._health.close()
        if session is None:
            return
        try:
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=timeout)
        finally:
            await self._cancel_rest()
            await session.close()

    async def _cancel_rest(self) -> None:
        rest = tuple(self._in_flight)
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest)

    def send(self, delivery: Delivery) -> None:
        """Start one request."""
        if self._session is None:
            raise RuntimeError(f"{self.name} takes no delivery: it is closed")
        task = asyncio.create_task(self._exchange(self._session, delivery))
        self._in_flight[task] = delivery
        task.add_done_callback(self._finished)

    async def _exchange(self, session: aiohttp.ClientSession, delivery: Delivery) -> Result:
        request = delivery.message
        if not isinstance(request, HttpRequest):
            raise TypeError(f"{self.name} was given a {type(request).__name__}")
        body = delivery.webhook.raw if request.body is None else request.body
        url = self._settings.url + request.url if request.url.startswith("/") else request.url
        trip = _Trip()
        try:
            response = await session.request(
                request.method,
                _wire_url(url),
                headers=self._headers(request),
                data=io.BytesIO(body) if body else None,  # written piece by piece, however long it is
                allow_redirects=False,
                trace_request_ctx=trip,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return judge_error(error, url, sent=trip.sent)
        answer = await _drain(response)
        result = judge_status(response.status, response.headers.get("Retry-After"), url, time.time())
        if delivery.answered is not None and _is_final(result):
            delivery.answered(_passed_on(response, answer))
        return result

    def _headers(self, request: HttpRequest) -> CIMultiDict[str]:
        headers = CIMultiDict(request.headers)
        headers.setdefault("User-Agent", USER_AGENT)
        headers["Accept-Encoding"] = "identity"
        for name, secret in self._settings.headers:
            headers[name] = secret.reveal()
        return headers

    def _finished(self, task: asyncio.Task[Result]) -> None:
        was_full = self.capacity() == 0
        delivery = self._in_flight.pop(task)
        result = _result_of(task)
        if self._session is not None:
            self._health.record(result)
        self._listener.finished(delivery, result)
        if was_full:
            self._say_available()

    def _say_available(self) -> None:
        if self.capacity() > 0:
            self._listener.available(self.name)


def _wire_url(url: str) -> URL:
    # One that was rendered for the wire is sent as it is: quoting it anew could change its meaning.
    return URL(url, encoded=_WIRE_READY.fullmatch(url) is not None)


def _result_of(task: asyncio.Task[Result]) -> Result:
    if task.cancelled():
        return _STOPPED
    error = task.exception()
    if error is not None:  # a mistake of ours: the delivery still has its result, and spends an attempt
        log.error("an HTTP request failed inside the bridge", exc_info=error)
        return _BROKEN
    return task.result()


async def _mark_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.sent = True


async def _drain(response: aiohttp.ClientResponse) -> bytes | None:
    """Read a short answer to its end, so that its connection serves again; a longer one costs it.

    The status line is the answer: what happens to the body changes nothing.

    Returns:
        The body; None where it is longer, or was cut off.
    """
    chunks, left = [], LONGEST_ANSWER
    try:
        while left > 0 and (chunk := await response.content.read(left)):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks) if left > 0 or response.content.at_eof() else None
    except (aiohttp.ClientError, OSError) as error:
        log.debug("an answer's body was cut off: %s", type(error).__name__)
        return None
    finally:
        response.close()


def _is_final(result: Result) -> bool:
    """Whether this answer is the last word on a delivery, and not one that a repetition may change."""
    return isinstance(result, Delivered) or result.kind is FailureKind.PERMANENT


def _passed_on(response: aiohttp.ClientResponse, body: bytes | None) -> Answer | None:
    """What the webhook's sender is answered; None where the body is not whole, or in a coding of its own."""
    if body is None or response.headers.get("Content-Encoding", "identity") != "identity":
        return None
    return answer_of_response(response.status, response.headers.items(), body)
