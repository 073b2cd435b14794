"""Which headers of a webhook go on to an HTTP target: an allow-list, because the sender is a stranger."""

import re
from functools import lru_cache
from typing import Final

from bridge.routing.confine import MAX_HEADER, UNFIT_FOR_HEADER
from bridge.webhook import Webhook

CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Meant for the relay's endpoint and nobody else."""
MOST_HEADERS: Final = 100

Headers = tuple[tuple[str, str], ...]

_NAMES: Final = frozenset({"content-type", "idempotency-key", "traceparent", "tracestate", "user-agent"})
_PREFIXES: Final = (
    *("x-", "webhook-", "svix-", "ce-", "aeg-", "circleci-", "github-", "gitlab-", "linear-"),
    *("paypal-", "sentry-", "slack-", "stripe-", "twitch-"),
)
_SUFFIX: Final = "-signature"
# What proxies vouch for: who the client is, where it came from, what it asked for. A stranger may not say it.
_VOUCHED_FOR: Final = (
    *("x-forwarded", "x-real-", "x-client-ip", "x-original-", "x-rewrite-", "x-http-method", "x-method-"),
    *("x-remote-", "x-webauth-", "x-auth-request-", "x-authenticated-", "x-authentik-"),
)
# No underscore: some servers read it as a hyphen, so that `x_forwarded_for` would slip through.
_NAME: Final = re.compile(r"[a-z0-9-]{1,100}").fullmatch


def forwarded_headers(webhook: Webhook) -> Headers:
    """Headers to send on, by lower-case name; `webhook-id` and `idempotency-key` are added where missing."""
    dropped = _named_by_connection(webhook)
    found = [
        (name, value)
        for name, values in webhook.headers.items()
        if is_forwarded(name) and name not in dropped
        for value in values
        if _is_clean(value)
    ]
    del found[MOST_HEADERS:]
    present = {name for name, _ in found}
    if webhook.id and _is_clean(webhook.id):
        found += [(name, webhook.id) for name in ("webhook-id", "idempotency-key") if name not in present]
    return tuple(found)


@lru_cache(maxsize=512)
def is_forwarded(name: str) -> bool:
    """Whether a header of this lower-case name is sent on: content, provider's own and signatures only.

    Everything that frames a message, belongs to one connection (RFC 9110, section 7.6.1) or is a credential
    is absent from the list.
    """
    if _NAME(name) is None or name.startswith(_VOUCHED_FOR):
        return False
    return name in _NAMES or name.startswith(_PREFIXES) or name.endswith(_SUFFIX)


def _named_by_connection(webhook: Webhook) -> set[str]:
    values = webhook.headers.get("connection", ())
    return {name.strip().lower() for value in values for name in value.split(",")}


def _is_clean(value: str) -> bool:
    return len(value) <= MAX_HEADER and UNFIT_FOR_HEADER.search(value) is None
