"""What another routing file would do differently with the webhooks that the running daemon keeps."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

from bridge.cli.client import ask
from bridge.cli.sendings import sending_json, sending_lines
from bridge.config.model import Config
from bridge.config.problems import printable
from bridge.preview import Sending, dry_run
from bridge.relay.frames import decode_frame
from bridge.webhook import Webhook

WAIT_SECONDS = 60.0

Change = tuple[Sending | None, Sending | None]
"""What is sent by the old file and by the new one; None: nothing."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes for one webhook."""

    webhook: Webhook
    changes: tuple[Change, ...]

    def text(self) -> str:
        """For people: `-` is sent by the old file, `+` by the new one."""
        lines = [f"{self.webhook.id or 'no id'} ({self.webhook.bucket})"]
        for pair in self.changes:
            for sign, sending in zip("-+", pair, strict=True):
                if sending is not None:
                    first, *rest = sending_lines(sending)
                    lines += [
                        f"  {sign} {sending.plan.route}: {first}",
                        *(f"  {sign}   {one}" for one in rest),
                    ]
        return "\n".join(map(printable, lines))

    def as_json(self) -> dict[str, object]:
        """For machines."""
        return {
            "id": self.webhook.id,
            "bucket": self.webhook.bucket,
            "added": [_json(new) for old, new in self.changes if old is None and new is not None],
            "removed": [_json(old) for old, new in self.changes if new is None and old is not None],
            "changed": [{"from": _json(old), "to": _json(new)} for old, new in self.changes if old and new],
        }


def _json(sending: Sending) -> dict[str, object]:
    return {"route": sending.plan.route, **sending_json(sending)}


def kept_webhooks() -> Iterator[Webhook]:
    """Every webhook that the running daemon's journal keeps, in the order of their coming."""
    after = 0
    while after is not None:
        answer = ask("webhooks", {"after": after}, timeout=WAIT_SECONDS)
        for one in answer["webhooks"]:
            webhook = decode_frame(one["frame"], one["received_at"])
            if isinstance(webhook, Webhook):
                yield webhook
        after = answer["after"]


def differences(old: Config, new: Config, webhooks: Iterable[Webhook]) -> Iterator[Changes]:
    """The webhooks for which two files send different things."""
    for webhook in webhooks:
        changes = tuple(_changes(_sendings(old, webhook), _sendings(new, webhook)))
        if changes:
            yield Changes(webhook, changes)


def _sendings(config: Config, webhook: Webhook) -> list[Sending]:
    return [sending for step in dry_run(config, webhook) for sending in step.sendings]


def _changes(old: Iterable[Sending], new: Iterable[Sending]) -> Iterator[Change]:
    """What is not the same on both sides, side by side where route and target are."""
    olds, news = _by_origin(old), _by_origin(new)
    for origin in dict.fromkeys([*olds, *news]):
        before, after = olds[origin], news[origin]
        same = {_content(one) for one in before} & {_content(one) for one in after}
        yield from zip_longest(
            [one for one in before if _content(one) not in same],
            [one for one in after if _content(one) not in same],
        )


def _by_origin(sendings: Iterable[Sending]) -> defaultdict[tuple[str, str], list[Sending]]:
    found: defaultdict[tuple[str, str], list[Sending]] = defaultdict(list)
    for sending in sendings:
        found[sending.plan.route, sending.plan.target].append(sending)
    return found


def _content(sending: Sending) -> tuple[str, bytes]:
    """What tells two sendings of one route to one target apart."""
    return repr(sorted(sending.facts.items())) if sending.facts else str(sending.plan.error), sending.payload
