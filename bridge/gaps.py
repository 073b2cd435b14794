"""Gap filling: asks the relay's log, after each start and reconnect, for what came while nobody listened.

How far the record is complete is kept in the journal, in the relay's own time. What is found goes the way
of every webhook, marked late; what was there already is dropped there as a duplicate.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge.config.model import GapSettings, RelaySettings
from bridge.errors import CredentialsRefused, JournalError, RelayError
from bridge.relay.backoff import Backoff, Ending
from bridge.relay.client import RelayState
from bridge.relay.cursor import Cursor, Notes
from bridge.relay.entries import Directory
from bridge.relay.gap import OVERLAP, Gap, RelayClock, gap_between
from bridge.webhook import Webhook

if TYPE_CHECKING:  # they bring an HTTP client, and not every bridge needs it
    from bridge.relay.logreader import LogReader
    from bridge.relay.rest import RelayRest

log = logging.getLogger(__name__)

NOTE_SECONDS: Final = 300.0
"""How often the note is renewed while all is well: each time is a write to the disk."""
TURN: Final = 20
"""Webhooks handed over before live ones have their turn again."""
LOOK_SECONDS: Final = 0.02
MOST_LOOKS: Final = 50
"""How often a turn waits for `LOOK_SECONDS` while there is no room."""
ROOM_FOR_FRAME: Final = 1024 * 1024
"""Bytes of an answer beside the largest webhook in it."""
MOST_LIVE: Final = 20_000
"""IDs of live webhooks that are kept while a gap is filled; of the rest, deduplication takes care."""


@dataclass(frozen=True, slots=True)
class GapState:
    """What gap filling does, for people and for status. Times are Unix seconds of the relay's clock."""

    name: str
    """off, idle, filling, waiting or unavailable."""
    reason: str = ""
    """Why it waits, or can't. It holds no secret and no control character."""
    start: float | None = None
    """The last gap."""
    end: float | None = None
    found: int = 0
    """Webhooks of the last gap that had been missed."""
    unreadable: int = 0
    """Entries of the relay's log in the last gap that no webhook can be made of."""
    beyond: float = 0.0
    """Seconds of the last gap that could not be asked for: over the horizon, or the log begins later."""


class GapFiller:
    """Fills one gap at a time. Everything runs on the event loop's thread.

    Args:
        notes: where the cursor survives a restart.
        take: called with each webhook; says whether it had been missed.
        busy: whether so much is neither delivered nor durable that late webhooks should wait.
        owes: whether the webhook with this ID would be lost with this process.
        told: called with each new state.
        chance: yields numbers in [0, 1) for the jitter.
        monotonic: seconds on the clock of the event loop.
    """

    def __init__(
        self,
        notes: Notes,
        take: Callable[[Webhook], bool],
        *,
        busy: Callable[[], bool] = lambda: False,
        owes: Callable[[str], bool] = lambda _: False,
        told: Callable[[GapState], None] = lambda _: None,
        chance: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notes = notes
        self._take = take
        self._busy = busy
        self._owes = owes
        self._open: list[str] = []
        """IDs of webhooks that were taken, and are perhaps not durable yet."""
        self._live: set[str] = set()
        """IDs that came live since this subscription began, while the log, which has them too, is read."""
        self._told = told
        self._chance = chance
        self._monotonic = monotonic
        self._relay = RelaySettings()
        self._gaps = GapSettings(fill=False)
        self._cursor = Cursor(notes, self._relay)
        self._clock: RelayClock | None = None
        self._began: float | None = None
        """Monotonic time of the first subscription."""
        self._subscribed = False
        self._whole = False
        """Whether the record is complete but for what a live subscription brings."""
        self._task: asyncio.Task[None] | None = None
        self._said = ""
        self.state = GapState("off")

    def use(self, relay: RelaySettings, gaps: GapSettings) -> None:
        """Go by these settings from the next subscription on."""
        if (relay.url, relay.key) != (self._relay.url, self._relay.key):
            self._stop()  # what it finds out is of the other relay
            self._cursor = Cursor(self._notes, relay)
            self._clock, self._began, self._subscribed, self._whole = None, None, False, False
        begins, self._relay, self._gaps = gaps.fill and not self._gaps.fill, relay, gaps
        if not gaps.fill:
            self._stop()
            self._cursor.forget()
            self._began = None
            self._become(GapState("off"))
        elif begins:
            self._become(GapState("idle"))
            if self._subscribed:
                self._start()

    def relay_became(self, relay: RelayState) -> None:
        """Follow the subscription: it begins, and there may be a gap; it ends, and one may begin."""
        if relay.name == "subscribed":
            self._subscribed = True
            self._start()
        elif self._subscribed:
            self.checkpoint(relay, every=0.0)
            self._subscribed = self._whole = False
            self._live.clear()
            self._stop()

    def came_live(self, webhook_id: str) -> None:
        """The log need not give this webhook: if its route was edited, it would pass as a new one."""
        if self._subscribed and not self._whole and len(self._live) < MOST_LIVE:
            self._live.add(webhook_id)

    def checkpoint(self, relay: RelayState | None, *, every: float = NOTE_SECONDS) -> None:
        """Note now and then how far a subscription brought everything.

        Args:
            relay: the subscription's state.
            every: seconds between two notes.
        """
        if not (relay and self._subscribed and self._whole and self._clock and self._gaps.fill):
            return
        now = self._monotonic()
        self._cursor.advance(self._clock.complete(now, relay.last_message_age or 0.0))
        self._cursor.save(now, every=every)

    async def close(self) -> None:
        """Stop; what was not filled is asked for after the next start."""
        self._stop()
        if self._task is not None:
            await asyncio.wait([self._task])

    # One fill

    def _start(self) -> None:
        if self._gaps.fill:
            self._stop()
            self._began = self._monotonic() if self._began is None else self._began
            self._task = asyncio.create_task(self._run(self._task), name="gap filling")
            self._task.add_done_callback(self._ended)

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A mistake of ours here must not end the live traffic, nor repeat itself after a restart."""
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("gap filling failed", exc_info=error)
            self._become(replace(self.state, name="unavailable", reason="an internal error"))

    async def _run(self, previous: asyncio.Task[None] | None) -> None:
        """Fill the gap before this subscription, and try again until that is done or can't be."""
        if previous is not None:
            await asyncio.wait([previous])
        backoff = Backoff(self._chance)
        while True:
            try:
                await self._fill()
            except RelayError as error:
                if not error.retry:
                    self._give_up(error)
                    return
                ending = Ending.REFUSED if isinstance(error, CredentialsRefused) else Ending.LOST
                self._trouble("waiting", error)
                await asyncio.sleep(backoff.after(ending, error.retry_after))
            else:
                return

    async def _fill(self) -> None:
        from bridge.relay.logreader import LogReader  # noqa: PLC0415  # heavy, and not every bridge needs it
        from bridge.relay.rest import LogUnavailable, RelayRest  # noqa: PLC0415  # the same

        relay = self._relay
        limit = relay.max_frame + ROOM_FOR_FRAME
        async with RelayRest(relay.url, relay.key, relay.secret, max_answer=limit) as rest:
            directory = await _directory(rest)
            if rest.clock is None:
                raise LogUnavailable("the relay's answers carry no date")
            self._clock = rest.clock
            await self._fill_gap(await self._gap(rest.clock), LogReader(rest, directory), directory)

    async def _gap(self, clock: RelayClock) -> Gap:
        """What may have been missed; at the very first start nothing from before the first subscription."""
        now = self._monotonic()
        await self._cursor.load()
        if self._cursor.until is not None:
            return gap_between(self._cursor.until, clock.now(now), self._gaps.horizon)
        began = clock.now(now if self._began is None else self._began)
        self._cursor.advance(began)
        self._cursor.save(now)
        with suppress(JournalError):  # whoever keeps the journal tells it
            await self._notes.flush()  # a process that dies without any note would begin anew
        return Gap(began, clock.now(now), 0.0)

    async def _fill_gap(self, gap: Gap, reader: "LogReader", directory: Directory) -> None:
        self._become(GapState("filling", "", gap.start, gap.end, beyond=gap.beyond))
        if gap.beyond:
            log.warning("%s before %s are not asked for (gaps.horizon)", _time(gap.beyond), _date(gap.start))
        for start, end in gap.slices():
            for bucket_id in directory.ids(self._relay.buckets):
                await reader.read(bucket_id, start, end, self._hand_over)
            await self._settle()
            # The last minute stays in question: a log may be written a little later than it says.
            self._cursor.advance(min(end, gap.end - OVERLAP))
            self._cursor.save(self._monotonic())
        self._finish(gap, reader)

    async def _hand_over(self, webhooks: Sequence[Webhook]) -> None:
        for number, webhook in enumerate(webhooks):
            if number % TURN == 0:
                await self._wait_for_room()
            if webhook.id not in self._live and self._take(webhook):
                self.state = replace(self.state, found=self.state.found + 1)
            self._open.append(webhook.id)
        self._open = list(filter(self._owes, self._open))

    async def _settle(self) -> None:
        """Return when nothing of what was taken would be lost: only then the cursor may go past it."""
        while self._open:
            await asyncio.sleep(LOOK_SECONDS)
            self._open = list(filter(self._owes, self._open))

    async def _wait_for_room(self) -> None:
        """Let live webhooks go first; but not for ever, where there is no end of them."""
        await asyncio.sleep(0)
        for _ in range(MOST_LOOKS):
            if not self._busy():
                return
            await asyncio.sleep(LOOK_SECONDS)

    # What is said

    def _finish(self, gap: Gap, reader: "LogReader") -> None:
        begins = reader.complete_since
        if begins is not None and begins > gap.start + OVERLAP:
            gap = replace(gap, beyond=gap.beyond + begins - gap.start - OVERLAP)
            log.warning("the relay's log begins at %s: what came before is not in it", _date(begins))
        if reader.unreadable:
            log.warning("%d entries of the relay's log can't be used", reader.unreadable)
        if self.state.found:
            log.info(
                "found %d missed webhooks between %s and %s",
                self.state.found,
                _date(gap.start),
                _date(gap.end),
            )
        self._whole, self._said = True, ""
        self._live.clear()
        self._become(replace(self.state, name="idle", unreadable=reader.unreadable, beyond=gap.beyond))

    def _give_up(self, error: RelayError) -> None:
        """This gap stays; from here on the record counts as complete again."""
        self._whole = True
        self._live.clear()
        self._trouble("unavailable", error)

    def _trouble(self, name: str, error: RelayError) -> None:
        if self._said != str(error):
            self._said = str(error)
            again = "" if name == "unavailable" else "; it is tried again"
            log.warning("missed webhooks can't be asked for: %s%s", error, again)
        self._become(replace(self.state, name=name, reason=str(error)))

    def _become(self, state: GapState) -> None:
        self.state = state
        self._told(state)


async def _directory(rest: "RelayRest") -> Directory:
    """The relay's buckets; none where it doesn't tell, whose log may be open all the same."""
    try:
        return await rest.directory()
    except RelayError as error:
        if error.retry and not isinstance(error, CredentialsRefused):
            raise
        return Directory()


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds:.0f} seconds"
