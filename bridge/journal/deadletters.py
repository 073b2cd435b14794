"""The table of dead letters, held to a share of the journal and to an age."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bridge.journal.batch import Burial
from bridge.journal.clock import Clock
from bridge.journal.rows import (
    ROW_OVERHEAD,
    DamagedRow,
    DeadLetter,
    decode_dead,
    encode_dead,
    encode_delivery,
    seal,
    unseal,
)
from bridge.journal.webhooks import Webhooks, load_webhook
from bridge.webhook import Webhook

MAX_AGE = 14 * 86_400.0
"""Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadFilter:
    """Which dead letters; None: any."""

    route: str | None = None
    target: str | None = None
    code: str | None = None
    before: float | None = None
    """Unix time, in seconds."""

    def where(self) -> tuple[str, list[Any]]:
        """As an SQL condition and its values."""
        tests = {
            "route = ?": self.route,
            "target = ?": self.target,
            "code = ?": self.code,
            "at < ?": self.before,
        }
        wanted = {test: value for test, value in tests.items() if value is not None}
        return " AND ".join(["id > ?", *wanted]), list(wanted.values())


class DeadLetters:
    """Deliveries that were given up, by an ID that is never used again."""

    def __init__(self, db: sqlite3.Connection, *, clock: Clock, share: int) -> None:
        self._db = db
        self._clock = clock
        self._share = share
        self._webhooks = Webhooks(db)
        sizes = [letter.size for _, letter in self._scan(DeadFilter()) if letter]
        self.count, self.bytes = len(sizes), sum(sizes)

    def put(self, burial: Burial) -> bool:
        """Stores a dead letter, unless it is there already; its webhook is kept by the caller."""
        one = burial.delivery
        record = encode_delivery(one, self._clock)
        size = len(record) + len(one.webhook.raw) + ROW_OVERHEAD
        content = encode_dead(record, code=burial.code, reason=burial.reason, at=burial.at)
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO dead (seq, webhook, target, route, code, at, size, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                one.seq,
                one.webhook_seq,
                one.target,
                one.route,
                burial.code,
                burial.at,
                size,
                seal(content, one.seq, one.webhook_seq, size),
            ),
        ).rowcount
        self.count += inserted
        self.bytes += inserted * size
        return bool(inserted)

    def list(self, wanted: DeadFilter, *, limit: int, after: int) -> tuple[list[DeadLetter], list[int]]:
        """In the order of their IDs; and the IDs of damaged ones."""
        rows = list(self._scan(wanted, limit=limit, after=after))
        return [letter for _, letter in rows if letter], [one for one, letter in rows if not letter]

    def load(self, letter_id: int) -> tuple[Webhook, DeadLetter] | None:
        """One dead letter and its webhook.

        Raises:
            DamagedRow: a checksum is wrong.
        """
        row = self._db.execute(
            "SELECT dead.id, dead.seq, webhook, size, record, frame FROM dead"
            " LEFT JOIN webhooks ON webhooks.seq = webhook WHERE dead.id = ?",
            (letter_id,),
        ).fetchone()
        return row and (load_webhook(row[5], row[2]), _letter(row[:5]))

    def discard(self, ids: Iterable[int]) -> int:
        """Removes dead letters; how many there were."""
        removed, gone = 0, []
        for one in ids:
            row = self._db.execute(
                "DELETE FROM dead WHERE id = ? RETURNING id, seq, webhook, size, record", (one,)
            ).fetchone()
            removed += row is not None
            with suppress(DamagedRow):  # it was never counted, and may name the wrong webhook
                letter = row and _letter(row)
                if letter:
                    gone.append(letter.webhook_seq)
                    self.count -= 1
                    self.bytes -= letter.size
        self._webhooks.release(gone)
        return removed

    def trim(self) -> int:
        """Removes the oldest while they hold more than their share, and those that are too old; how many."""
        horizon = self._clock.now() - MAX_AGE
        excess, doomed = self.bytes - self._share, []
        for one, letter in self._scan(DeadFilter()):
            if letter and excess <= 0 and letter.at >= horizon:
                break
            if letter:
                doomed.append(one)
                excess -= letter.size
        return self.discard(doomed)

    def _scan(
        self, wanted: DeadFilter, *, limit: int = -1, after: int = 0
    ) -> Iterator[tuple[int, DeadLetter | None]]:
        """IDs and dead letters in their order; None for a damaged one: no column of it can be trusted."""
        where, values = wanted.where()
        # The condition is built of fixed texts only; every value is bound.
        query = f"SELECT id, seq, webhook, size, record FROM dead WHERE {where} ORDER BY id LIMIT ?"  # noqa: S608
        for row in self._db.execute(query, [after, *values, limit]):
            try:
                yield row[0], _letter(row)
            except DamagedRow:
                yield row[0], None


def _letter(row: Sequence[Any]) -> DeadLetter:
    one, seq, webhook_seq, size, record = row
    content = unseal(record, seq, webhook_seq, size)
    return decode_dead(content, letter_id=one, seq=seq, webhook_seq=webhook_seq, size=size)
