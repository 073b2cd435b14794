"""What the control socket can be asked for."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from typing import Protocol, runtime_checkable

from bridge.config.loader import load
from bridge.control import Answer, ControlError, Handler, Stream
from bridge.exhumation import Exhumation, Selection
from bridge.follow import Follower, Wanted
from bridge.injection import Injection
from bridge.intake import Intake
from bridge.logs import LEVELS, set_level
from bridge.passages import KEPT, Passages
from bridge.relay.frames import decode_frame, encode_webhook
from bridge.reload import Outcome
from bridge.routing.table import Routed
from bridge.status import Observed, snapshot
from bridge.webhook import Webhook

MOST_IDS = 1000
LONGEST_TEXT = 1000
HIGHEST = (1 << 63) - 1
"""Of an ID, which is a signed integer of 64 bits."""
FRAMES = 1 << 20
"""Bytes of webhooks in one answer, roughly."""
MOST_PATIENCE = 600.0
"""Seconds that an answer may wait for what becomes of a webhook."""


class Operated(Observed, Protocol):
    """A running daemon, as an operator sees it."""

    intake: Intake
    passages: Passages

    async def reload(self) -> Outcome:
        """Read the routing file again."""


@runtime_checkable
class Resumable(Protocol):
    """A target that pauses by itself, where it was told that nobody is there any more."""

    def resume(self) -> bool:
        """End the pause; False where there was none."""


class Request:
    """The fields of a request, strangers to be checked. All raise `ControlError` for what they don't take."""

    def __init__(self, fields: Mapping[str, object], *known: str) -> None:
        """Takes fields of these names only."""
        for name in fields:
            if name not in known:
                raise ControlError(f"unknown field {name!r}")
        self._fields = fields

    def text(self, name: str) -> str | None:
        """A text that can be looked for."""
        value = self._fields.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not _is_unicode(value):
            raise ControlError(f"{name} is not a text of at most {LONGEST_TEXT} characters")
        return value

    def texts(self, name: str) -> list[str]:
        """Texts that can be looked for; none where the field is missing."""
        value = self._fields.get(name, [])
        if not isinstance(value, list) or len(value) > MOST_IDS:
            raise ControlError(f"{name} is not a list of at most {MOST_IDS} texts")
        return [text for one in value if (text := Request({name: one}, name).text(name)) is not None]

    def long_text(self, name: str) -> str:
        """A text of any length, a webhook for example."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise ControlError(f"{name} is not a text")
        return value

    def seconds(self, name: str) -> float | None:
        """A span of time."""
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= HIGHEST:
            raise ControlError(f"{name} is not a number of seconds")
        return value

    def number(self, name: str, default: int | None = None) -> int:
        """An ID, or 0 for what is before them all."""
        return _number(name, self._fields.get(name, default))

    def numbers(self, name: str) -> list[int]:
        """IDs."""
        value = self._fields.get(name)
        if not isinstance(value, list) or len(value) > MOST_IDS:
            raise ControlError(f"{name} is not a list of at most {MOST_IDS} IDs")
        return [_number(name, one) for one in value]


def _number(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST:
        raise ControlError(f"{name}: not an ID")
    return value


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def commands(daemon: Operated) -> dict[str, Handler]:
    """The commands by name."""

    async def reload(_request: Mapping[str, object]) -> Answer:
        outcome = await daemon.reload()
        return outcome.as_dict()

    async def check(_request: Mapping[str, object]) -> Answer:
        loaded = await asyncio.to_thread(load, daemon.config.files[0])
        problems = [problem.as_json() for problem in loaded.problems]
        return {"ok": loaded.config is not None, "problems": problems}

    async def status(_request: Mapping[str, object]) -> Answer:
        return snapshot(daemon)

    async def webhooks(fields: Mapping[str, object]) -> Answer:
        return await _webhooks(daemon, Request(fields, "after"))

    return {
        "reload": reload,
        "check": check,
        "status": status,
        "webhooks": webhooks,
        "log-level": _log_level,
        **_pauses(daemon),
        **_dead_letters(daemon),
        **_injections(daemon),
    }


def streams(daemon: Operated) -> dict[str, Stream]:
    """What answers bit by bit, by name."""

    def tail(fields: Mapping[str, object]) -> AsyncGenerator[Answer | None, None]:
        request = Request(fields, *Wanted._fields, "past")
        wanted = Wanted(*(request.text(name) for name in Wanted._fields))
        return Follower(daemon.passages, wanted).lines(min(KEPT, request.number("past", 0)))

    return {"tail": tail}


async def _log_level(fields: Mapping[str, object]) -> Answer:
    """Log from another level on, until the daemon ends."""
    level = Request(fields, "level").text("level")
    if level not in LEVELS:
        raise ControlError(f"level is not one of {', '.join(LEVELS)}")
    return {"level": level, "before": set_level(level)}


def _pauses(daemon: Operated) -> dict[str, Handler]:
    """Holding a target: what is owed to it waits in the journal, until it is resumed or the daemon ends."""

    def hold(fields: Mapping[str, object], *, paused: bool) -> str:
        name = Request(fields, "target").text("target")
        if name is None or not daemon.dispatcher.hold(name, paused=paused):
            known = ", ".join(sorted(daemon.dispatcher.owed()))
            raise ControlError(f"target is none of {known or 'those in use, as there are none'}")
        return name

    async def pause(fields: Mapping[str, object]) -> Answer:
        return {"paused": hold(fields, paused=True)}

    async def resume(fields: Mapping[str, object]) -> Answer:
        name = hold(fields, paused=False)
        for target in daemon.registry:
            if target.name == name and isinstance(target, Resumable):
                target.resume()
        return {"resumed": name}

    return {"pause": pause, "resume": resume}


def _dead_letters(daemon: Operated) -> dict[str, Handler]:
    def replan(webhook: Webhook) -> tuple[Routed, int]:
        # No clock and no replays: it was young enough, and the first of its kind, when it came.
        return daemon.config.table.route(webhook), daemon.reloader.outcome.generation

    letters = Exhumation(daemon.journal, daemon.dispatcher, replan)

    async def page(fields: Mapping[str, object]) -> Answer:
        request = Request(fields, "route", "target", "code", "older_than", "after")
        return await letters.page(
            Selection(
                route=request.text("route"),
                target=request.text("target"),
                code=request.text("code"),
                older_than=request.seconds("older_than"),
                after=request.number("after", 0),
            )
        )

    async def show(fields: Mapping[str, object]) -> Answer:
        return await letters.show(Request(fields, "id").number("id"))

    async def retry(fields: Mapping[str, object]) -> Answer:
        return await letters.retry(Request(fields, "ids").numbers("ids"))

    async def purge(fields: Mapping[str, object]) -> Answer:
        return await letters.purge(Request(fields, "ids").numbers("ids"))

    return {"dead-list": page, "dead-show": show, "dead-retry": retry, "dead-purge": purge}


def _injections(daemon: Operated) -> dict[str, Handler]:
    """Webhooks that the operator makes, or wants delivered again; the answer tells what became of each."""
    injection = Injection(daemon.passages, daemon.intake)

    async def send(fields: Mapping[str, object]) -> Answer:
        request = Request(fields, "frame", "wait")
        return {"webhooks": await injection.send(_framed(request), _wait(request))}

    async def send_around(fields: Mapping[str, object]) -> Answer:
        from bridge.relay.public import address, post  # noqa: PLC0415  # heavy, and seldom needed

        request = Request(fields, "frame", "url", "wait")
        webhook = _framed(request)
        bucket = webhook.bucket or webhook.bucket_id
        url = request.text("url") or await address(daemon.config.relay, bucket, webhook.input)
        status, lines = await injection.send_around(webhook, lambda one: post(one, url), _wait(request))
        return {"answered": status, "webhooks": lines}

    async def replay(fields: Mapping[str, object]) -> Answer:
        request = Request(fields, "numbers", "last", "since", "wait")
        if "numbers" in fields:
            webhooks = injection.numbered(request.numbers("numbers"))
        else:
            since = request.seconds("since")
            found = injection.kept(since=0.0 if since is None else time.time() - since)
            webhooks = found[max(0, len(found) - request.number("last", KEPT)) :]
        return {"webhooks": await injection.replay(webhooks, _wait(request))}

    async def replay_log(fields: Mapping[str, object]) -> Answer:
        request = Request(fields, "ids", "since", "wait")
        webhooks = await _logged(daemon, request)
        return {"webhooks": await injection.replay(webhooks, _wait(request))}

    return {"send": send, "send-around": send_around, "replay": replay, "replay-log": replay_log}


def _framed(request: Request) -> Webhook:
    webhook = decode_frame(request.long_text("frame"), time.time())
    if not isinstance(webhook, Webhook):
        raise ControlError("the frame is no webhook")
    return webhook


def _wait(request: Request) -> float:
    return min(MOST_PATIENCE, request.seconds("wait") or 0.0)


async def _logged(daemon: Operated, request: Request) -> list[Webhook]:
    """Webhooks of the relay's log: those named, or those of the last seconds."""
    from bridge.relay.lookup import between, by_ids  # noqa: PLC0415  # heavy, and seldom needed

    since = request.seconds("since")
    if since is None:
        return await by_ids(daemon.config.relay, request.texts("ids"))
    return await between(daemon.config.relay, since)


async def _webhooks(daemon: Operated, request: Request) -> Answer:
    """The webhooks that the journal keeps, as frames, and the number to go on after."""
    found = await daemon.journal.webhooks(request.number("after", 0), FRAMES)
    frames = [{"frame": encode_webhook(one), "received_at": one.received_at} for _, one in found]
    return {"webhooks": frames, "after": found[-1][0] if found else None}
