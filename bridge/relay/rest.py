"""The relay's REST interface: what its log holds. Every answer is bounded, and no redirect is followed."""

import base64
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import orjson
from yarl import URL

from bridge.errors import CredentialsRefused, FrameError, RedirectRefused, RelayError
from bridge.message import Answer
from bridge.relay.entries import (
    Connected,
    Directory,
    Entry,
    Page,
    parse_connected,
    parse_directory,
    parse_entry,
    parse_page,
)
from bridge.relay.gap import RelayClock
from bridge.relay.transport import parse_retry_after
from bridge.secret import Secret
from bridge.version import __version__

T = TypeVar("T")

API_KEY_USER: Final = "whr"
"""The key that goes with a single API key, which REST takes as a bearer token."""
CONNECT_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 60.0
_CHUNK: Final = 64 * 1024
_ABSENT: Final = {402: "the plan lacks it", 404: "there is none", 405: "there is none", 501: "there is none"}


class LogUnavailable(RelayError):
    """The relay has no log to be read, or not on this plan: asking again won't help."""

    retry = False


class AnswerTooLarge(RelayError):
    """An answer over the limit; a smaller page may be under it."""


class AnswerRefused(RelayError):
    """The relay won't take this answer: it doesn't know the webhook, or finds the answer at fault."""

    retry = False


class RelayRest:
    """Reads a relay's log, and answers senders.

    Args:
        socket_url: the relay's WebSocket; its REST interface is on the same host.
        key: the API key; `whr` for a single API key.
        secret: its secret.
        max_answer: bytes.
    """

    def __init__(self, socket_url: str, key: str, secret: Secret, *, max_answer: int) -> None:
        self._base = base_url(socket_url)
        self._key = key
        self._secret = secret
        self._max_answer = max_answer
        self._session: aiohttp.ClientSession | None = None
        self.clock: RelayClock | None = None
        """The relay's time, by its last answer."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=True,  # the socket goes through the environment's proxy too
            headers={
                "Authorization": self._authorization(),
                "Accept-Encoding": "identity",
                "User-Agent": f"relay-bridge/{__version__}",
            },
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def directory(self) -> Directory:
        """The account's buckets.

        Raises:
            RelayError: as all of these; LogUnavailable and CredentialsRefused are not worth a repetition.
        """
        return _understood(parse_directory, await self._get("/v1/buckets", {}))

    async def connected(self) -> list[Connected]:
        """Who is subscribed."""
        return _understood(parse_connected, await self._get("/v1/connected-clients", {}))

    async def page(
        self, bucket_id: str, start: float, end: float, *, limit: int, following: Mapping[str, str]
    ) -> Page:
        """A page of the log.

        Args:
            bucket_id: "" for every bucket.
            start: from this Unix time on, inclusive or not: relays differ.
            end: up to this one.
            limit: entries.
            following: what the page before said; empty for the first.
        """
        query = {"from": _rfc3339(start), "to": _rfc3339(end), "limit": str(limit), **following}
        if bucket_id:
            query["bucket"] = bucket_id
        data = await self._get("/v1/logs", query)
        return _understood(lambda body: parse_page(body, following), data)

    async def entry(self, log_id: str) -> Entry:
        """One entry, with all that the relay knows of it."""
        return _understood(parse_entry, await self._get(f"/v1/logs/{quote(log_id, safe='')}", {}))

    async def respond(self, log_id: str, bucket_id: str, answer: Answer, *, timeout: float) -> None:
        """Have a webhook's sender answered, where it still waits. `timeout` is in seconds.

        Raises:
            AnswerRefused: it is not worth a repetition.
        """
        said = {
            "id": log_id,
            "bucket_id": bucket_id,
            "status_code": answer.status,
            "response_body": base64.b64encode(answer.body).decode(),
            "response_headers": _listed(answer.headers),
            "status": "sent",
        }
        url = URL(f"{self._base}/v1/logs/{quote(log_id, safe='')}", encoded=True)
        await self._exchange("PUT", url, data=orjson.dumps(said), timeout=timeout)

    async def _get(self, path: str, query: Mapping[str, str]) -> bytes:
        return await self._exchange("GET", URL(self._base + path, encoded=True).with_query(query))

    async def _exchange(
        self, method: str, url: URL, *, data: bytes | None = None, timeout: float = ANSWER_SECONDS
    ) -> bytes:
        if self._session is None:
            raise RuntimeError("used outside of its context")
        limits = aiohttp.ClientTimeout(total=timeout, connect=CONNECT_SECONDS)
        headers = {} if data is None else {"Content-Type": "application/json"}
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False, timeout=limits
            ) as response:
                self._set_clock(response)
                _check(response)
                return await self._body(response)
        except TimeoutError:
            raise RelayError("the relay's log does not answer") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Its own text may hold the URL of a proxy, with the password in it.
            raise RelayError(f"the relay's log can't be reached: {type(error).__name__}") from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            body += chunk
            if len(body) > self._max_answer:
                response.close()
                raise AnswerTooLarge(f"an answer of the relay's log is over {self._max_answer} bytes")
        return bytes(body)

    def _set_clock(self, response: aiohttp.ClientResponse) -> None:
        try:
            said = parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError):
            return
        self.clock = RelayClock(said, time.monotonic())

    def _authorization(self) -> str:
        secret = self._secret.reveal()
        if self._key == API_KEY_USER:
            return f"Bearer {secret}"
        return "Basic " + base64.b64encode(f"{self._key}:{secret}".encode()).decode()


def base_url(socket_url: str) -> str:
    """Where the REST interface beside a WebSocket begins, such as `https://my.webhookrelay.com`."""
    url = urlsplit(socket_url)
    scheme = "https" if url.scheme == "wss" else "http"
    return f"{scheme}://{url.netloc.rpartition('@')[2]}{url.path.removesuffix('/v1/socket').rstrip('/')}"


def _check(response: aiohttp.ClientResponse) -> None:
    """Raises unless the answer is a good one."""
    status = response.status
    if 200 <= status < 300:
        return
    if response.method == "PUT" and 400 <= status < 500 and status not in (401, 403, 408, 425, 429):
        raise AnswerRefused(f"the relay refuses an answer (HTTP {status})")
    if status in (401, 403):
        raise CredentialsRefused(f"the relay's log refuses the credentials (HTTP {status})")
    if status in _ABSENT:
        raise LogUnavailable(f"the relay's log can't be read: {_ABSENT[status]} (HTTP {status})")
    if 300 <= status < 400:
        raise RedirectRefused(f"the relay's log is said to be elsewhere (HTTP {status})")
    wait = parse_retry_after(response.headers.get("Retry-After"), time.time())
    raise RelayError(f"the relay's log answered HTTP {status}", retry_after=wait)


def _listed(headers: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(value)
    return found


def _understood(parse: Callable[[bytes], T], data: bytes) -> T:
    try:
        return parse(data)
    except FrameError as error:
        raise RelayError(f"the relay's log is not understood: {error}") from None


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
