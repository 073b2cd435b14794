"""What templates can see of a webhook, under the names they use."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bridge.webhook import BodyError, Webhook


class Scope:
    """One webhook on its way through one route; a name's value is made when it is asked for."""

    __slots__ = ("route", "webhook")

    def __init__(self, webhook: Webhook, route: str) -> None:
        self.webhook = webhook
        self.route = route

    def __contains__(self, name: object) -> bool:
        return name in VALUES

    def __getitem__(self, name: str) -> Any:
        return VALUES[name](self)


class FirstValues(dict[str, str]):
    """The first value of each name that can have several (query, form)."""

    __slots__ = ()

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__({name: found[0] for name, found in values.items() if found})


class HeaderValues(FirstValues):
    """Headers by name in any case; `x_event` finds `x-event`, since a template can't say `header.x-event`."""

    __slots__ = ()

    def __missing__(self, name: object) -> str:
        if isinstance(name, str):
            lower = name.lower()
            for spelling in (lower, lower.replace("_", "-")):
                if dict.__contains__(self, spelling):
                    return dict.__getitem__(self, spelling)
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        try:
            self[name]  # type: ignore[index]  # any object may be looked for
        except (KeyError, TypeError):
            return False
        return True


def body_of(webhook: Webhook) -> Any:
    """The body as templates and conditions see it: parsed JSON, else a form by its fields, else its text.

    JSON comes first because senders such as curl label it as a form.
    """
    try:
        return webhook.json()
    except BodyError:
        return webhook.form_body or webhook.decoded


def timestamp(seconds: float) -> str:
    """A Unix time as RFC 3339 in UTC with milliseconds: 2026-03-01T12:00:00.000Z."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


VALUES: Final[Mapping[str, Callable[[Scope], Any]]] = {
    "body": lambda scope: body_of(scope.webhook),
    "raw": lambda scope: scope.webhook.text,
    "header": lambda scope: HeaderValues(scope.webhook.headers),
    "query": lambda scope: FirstValues(scope.webhook.query),
    "form": lambda scope: FirstValues(scope.webhook.form),
    "method": lambda scope: scope.webhook.method,
    "path": lambda scope: scope.webhook.path,
    "bucket": lambda scope: scope.webhook.bucket,
    "input": lambda scope: scope.webhook.input,
    "output": lambda scope: scope.webhook.output,
    "id": lambda scope: scope.webhook.id,
    "received_at": lambda scope: timestamp(scope.webhook.received_at),
    "route": lambda scope: scope.route,
}
"""Every name of a template, and what it stands for."""
