"""The relay's public side, as senders see it: where a bucket's webhooks go to, and sending one there."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bridge.config.model import RelaySettings
from bridge.errors import RelayError
from bridge.relay.lookup import rest_of
from bridge.relay.rest import CONNECT_SECONDS, base_url
from bridge.webhook import Webhook

ANSWER_SECONDS: Final = 20.0
"""For the relay's answer, which may be that of a subscriber."""
_OF_THE_CONNECTION: Final = frozenset(
    ("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer", "transfer-encoding")
) | {"upgrade"}


class NoAddress(RelayError):
    """The relay has no public address for a bucket."""

    retry = False


async def address(relay: RelaySettings, bucket: str, name: str = "") -> str:
    """Where senders send a bucket's webhooks.

    Args:
        relay: the relay.
        bucket: its name or ID.
        name: of the input; "" for the first one.

    Raises:
        RelayError: the relay can't be asked; `NoAddress` where it knows none.
    """
    async with rest_of(relay) as rest:
        directory = await rest.directory()
    found = next((directory.get(one) for one in directory.ids([bucket])), None)
    if found is None:
        raise NoAddress(f"the relay has no bucket {bucket!r}")
    chosen = next((one for one, its_name in found.inputs.items() if name in ("", its_name)), None)
    if chosen is None:
        raise NoAddress(f"bucket {bucket!r} has no input {name!r}")
    return f"{base_url(relay.url)}/v1/webhooks/{quote(chosen, safe='')}"


async def post(webhook: Webhook, url: str) -> int:
    """Send a webhook to a public address, with its path and query; the status of the answer.

    Raises:
        RelayError: nobody answers there.
    """
    limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS, connect=CONNECT_SECONDS)
    # As for the relay's socket: in some networks there is no way out but a proxy.
    session = aiohttp.ClientSession(timeout=limits, cookie_jar=aiohttp.DummyCookieJar(), trust_env=True)
    try:
        async with (
            session,
            session.request(
                webhook.method or "POST",
                URL(_whole(webhook, url), encoded=True),
                headers=CIMultiDict(_headers(webhook)),
                data=webhook.raw,
                allow_redirects=False,
            ) as response,
        ):
            return response.status
    except TimeoutError:
        raise RelayError("the relay's public address does not answer") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Its own text may hold the URL of a proxy, with the password in it.
        name = type(error).__name__
        raise RelayError(f"the relay's public address can't be reached: {name}") from None


def _whole(webhook: Webhook, url: str) -> str:
    # A destination that is a URL is where the relay would send it: no part of the request.
    path = webhook.path if webhook.destination.startswith("/") and webhook.path != "/" else ""
    query = f"?{webhook.query_string}" if webhook.query_string else ""
    return url.rstrip("/") + quote(path, safe="/%:@!$&'()*+,;=~") + query


def _headers(webhook: Webhook) -> Iterator[tuple[str, str]]:
    for name, values in webhook.headers.items():
        if name not in _OF_THE_CONNECTION:
            for value in values:
                yield name, value
