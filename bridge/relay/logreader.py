"""Reading a part of the relay's log, its oldest entry first, in whatever order the relay lists them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from bridge.errors import FrameError
from bridge.relay.entries import Directory, Entry, Page, time_of, webhook_of
from bridge.relay.rest import AnswerTooLarge, LogUnavailable, RelayRest
from bridge.webhook import Webhook

log = logging.getLogger(__name__)

HandOver = Callable[[Sequence[Webhook]], Awaitable[None]]

PAGE_ENTRIES: Final = 50
MOST_PAGES: Final = 100_000
MARGIN: Final = 1.0
"""Seconds asked for on either side: relays differ in whether the bounds belong to the range."""
FINEST: Final = 1.0
"""Seconds: the relay's own times may be no finer, so a shorter range would hold as much."""


class LogReader:
    """Hands over the webhooks of a range. Holds one page in memory."""

    def __init__(self, rest: RelayRest, directory: Directory) -> None:
        self._rest = rest
        self._directory = directory
        self._limit = PAGE_ENTRIES
        self._pages = 0
        self.unreadable = 0
        """Entries that can't be made a webhook of."""
        self.complete_since: float | None = None
        """Unix time since which the relay has kept everything, where it said so."""

    async def read(
        self,
        bucket_id: str,
        start: float,
        end: float,
        hand_over: HandOver,
    ) -> None:
        """Hand over the webhooks between two Unix times, and perhaps some beside them.

        Raises:
            RelayError: the log can't be read further; what came before was handed over.
        """
        page = await self._page(bucket_id, start, end, {})
        if page.following and not page.ascending and end - start > FINEST:
            # The oldest entries are on the last page: halves, until a page holds all there is.
            middle = (start + end) / 2
            await self.read(bucket_id, start, middle, hand_over)
            await self.read(bucket_id, middle, end, hand_over)
            return
        await hand_over(await self._webhooks(page, end))
        while page.following:
            page = await self._page(bucket_id, start, end, page.following)
            await hand_over(await self._webhooks(page, end))

    async def _page(self, bucket_id: str, start: float, end: float, following: Mapping[str, str]) -> Page:
        self._pages += 1
        if self._pages > MOST_PAGES:
            raise LogUnavailable("the relay's log has no end")
        page = await self._fitting_page(bucket_id, start - MARGIN, end + MARGIN, following)
        if page.complete_since is not None:
            self.complete_since = max(page.complete_since, self.complete_since or 0.0)
        return page

    async def _fitting_page(
        self, bucket_id: str, start: float, end: float, following: Mapping[str, str]
    ) -> Page:
        """A page that is not over the limit: with fewer entries, where it was."""
        while True:
            try:
                return await self._rest.page(bucket_id, start, end, limit=self._limit, following=following)
            except AnswerTooLarge as error:
                if self._limit == 1:
                    raise LogUnavailable(str(error)) from None
                self._limit = max(1, self._limit // 4)

    async def _webhooks(self, page: Page, otherwise: float) -> list[Webhook]:
        entries = page.entries if page.ascending else reversed(page.entries)
        found = [
            await self._webhook(one, otherwise) for one in sorted(entries, key=lambda one: time_of(one) or 0)
        ]
        return [one for one in found if one is not None]

    async def _webhook(self, entry: Entry, otherwise: float) -> Webhook | None:
        try:
            if "body" not in entry and isinstance(entry.get("id"), str):
                entry = await self._rest.entry(entry["id"])
            return webhook_of(entry, self._directory, otherwise)
        except (FrameError, LogUnavailable) as error:
            log.debug("an entry of the relay's log can't be used: %s", error)
            self.unreadable += 1
            return None
