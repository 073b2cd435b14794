"""Checks of HTTP targets: whether somebody answers there. Nothing is sent that a service acts upon."""

import asyncio
from types import SimpleNamespace
from typing import Final

import aiohttp
from yarl import URL

from bridge.config.model import ServiceSettings
from bridge.doctor.finding import Check, Finding, Scribe
from bridge.errors import ConfigError
from bridge.targets.http_connector import make_connector, tls_context
from bridge.targets.http_status import judge_error, place
from bridge.version import __version__

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 10.0


async def check_service(settings: ServiceSettings) -> list[Finding]:
    """Whether HTTP is spoken at a service's address."""
    url = URL(settings.url, encoded=True).origin() / ""
    write = Scribe(place(str(url)))
    try:
        tls = True if settings.ca is None else await asyncio.to_thread(tls_context, settings.ca)
    except ConfigError as error:
        return [write.bad(Check.HTTP_REACHED, str(error))]
    sent = _Sent()
    async with aiohttp.ClientSession(
        connector=make_connector(tls),
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS),
        headers={"User-Agent": f"relay-bridge/{__version__}"},
        trace_configs=[sent.trace],
    ) as session:
        try:
            async with session.head(url, allow_redirects=False) as response:
                return [write.good(Check.HTTP_REACHED, f"HTTP {response.status}")]
        except (aiohttp.ClientError, OSError, ValueError) as error:
            failure = judge_error(error, str(url), sent=sent.happened)
            return [write.bad(Check.HTTP_REACHED, failure.reason)]


class _Sent:
    """Whether a request left, by which a failure is judged."""

    def __init__(self) -> None:
        self.happened = False
        self.trace = aiohttp.TraceConfig()
        self.trace.on_request_headers_sent.append(self._note)

    async def _note(
        self, _session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object
    ) -> None:
        self.happened = True
