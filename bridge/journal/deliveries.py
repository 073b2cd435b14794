"""The table of deliveries, read by lane in the order of acceptance."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from bridge.journal.clock import Clock
from bridge.journal.rows import (
    ROW_OVERHEAD,
    DamagedRow,
    LaneSummary,
    decode_delivery,
    decode_digests,
    decode_lane,
    encode_delivery,
    lane_number,
    seal,
    unseal,
)
from bridge.journal.webhooks import Webhooks, load_webhook
from bridge.message import Delivery
from bridge.webhook import Webhook

QUARANTINED = 100
"""Damaged rows that are kept for whoever wants to look."""

MOST_OLDEST = 1000
"""Of the oldest deliveries, at once."""

_SELECT = (
    "SELECT d.seq, d.lane, d.webhook, d.size, d.record, w.frame FROM deliveries AS d"
    " LEFT JOIN webhooks AS w ON w.seq = d.webhook"
)

Damaged = list[int]
"""Seqs of rows whose checksum is wrong: the caller has them set aside."""


class Deliveries:
    """What is owed, by seq. Changes belong into a transaction of the caller."""

    def __init__(self, db: sqlite3.Connection, *, clock: Clock, webhooks: Webhooks) -> None:
        self._db = db
        self._clock = clock
        self._webhooks = webhooks

    def insert(self, deliveries: Iterable[Delivery]) -> None:
        """Stores deliveries, and each webhook once."""
        webhooks: dict[int, Webhook] = {}
        needed: Counter[int] = Counter()
        for one in deliveries:
            if self._db.execute(
                "INSERT OR IGNORE INTO deliveries VALUES (?, ?, ?, ?, ?)", self._row(one)
            ).rowcount:
                webhooks[one.webhook_seq] = one.webhook
                needed[one.webhook_seq] += 1
        self._webhooks.keep(webhooks, needed)

    def update(self, deliveries: Iterable[Delivery]) -> None:
        """Stores attempts and back-off of deliveries that are there."""
        for one in deliveries:
            seq, _, _, size, record = self._row(one)
            self._db.execute("UPDATE deliveries SET size = ?, record = ? WHERE seq = ?", (size, record, seq))

    def remove(self, seqs: Iterable[tuple[int, int]]) -> None:
        """Removes (seq, webhook's seq) where they are there, and webhooks that nothing needs any more."""
        self._webhooks.release([webhook for seq, webhook in seqs if self.detach(seq)])

    def detach(self, seq: int) -> bool:
        """Removes a row and keeps its webhook for another one; whether it was there."""
        return bool(self._db.execute("DELETE FROM deliveries WHERE seq = ?", (seq,)).rowcount)

    def read(self, lane: int, after: int, max_bytes: int, limit: int) -> tuple[list[Delivery], bool, Damaged]:
        """A lane's deliveries by seq, whether the limits left some out, and the damaged."""
        rows = self._db.execute(f"{_SELECT} WHERE d.lane = ? AND d.seq > ? ORDER BY d.seq", (lane, after))
        return self._within(rows, max_bytes, limit)

    def oldest(self, after: int, max_bytes: int) -> tuple[list[Delivery], Damaged]:
        """The oldest deliveries of all lanes, and the damaged."""
        rows = self._db.execute(f"{_SELECT} WHERE d.seq > ? ORDER BY d.seq", (after,))
        found, _, damaged = self._within(rows, max_bytes, MOST_OLDEST)
        return found, damaged

    def _within(
        self, rows: sqlite3.Cursor, max_bytes: int, limit: int
    ) -> tuple[list[Delivery], bool, Damaged]:
        found: list[Delivery] = []
        damaged: Damaged = []
        more = False
        for row in rows:
            if more := max_bytes <= 0 or len(found) >= limit:
                break
            try:
                found.append(self._delivery(row))
                max_bytes -= found[-1].size
            except DamagedRow:
                damaged.append(row[0])
        return found, more, damaged

    def find(self, seqs: Iterable[int]) -> list[Delivery]:
        """Those that are there, and whole."""
        found: list[Delivery] = []
        for seq in seqs:
            row = self._db.execute(f"{_SELECT} WHERE d.seq = ?", (seq,)).fetchone()
            with suppress(DamagedRow):  # whoever reads its lane sets it aside
                found += [self._delivery(row)] if row else []
        return found

    def lanes(self) -> tuple[list[LaneSummary], Damaged]:
        """Every lane that has deliveries, and the damaged. Reads them all."""
        names: dict[int, tuple[str, str | None]] = {}
        sums: dict[int, list[int]] = {}
        damaged: Damaged = []
        for seq, lane, webhook, size, record in self._db.execute("SELECT * FROM deliveries ORDER BY seq"):
            try:
                content = unseal(record, seq, lane, webhook, size)
            except DamagedRow:
                damaged.append(seq)
                continue
            if lane not in names:
                names[lane] = decode_lane(content)
                sums[lane] = [0, 0, seq]
            sums[lane][0] += 1
            sums[lane][1] += size
        return [LaneSummary(*names[lane], *sums[lane]) for lane in names], damaged

    def digests(self) -> list[int]:
        """Deduplication keys of what is owed, in the order of acceptance. Reads every delivery."""
        found: list[int] = []
        for seq, lane, webhook, size, record in self._db.execute("SELECT * FROM deliveries ORDER BY seq"):
            with suppress(DamagedRow):  # whoever reads its lane sets it aside
                found += decode_digests(unseal(record, seq, lane, webhook, size))
        return found

    def quarantine(self, seqs: Damaged, at: float) -> None:
        """Sets damaged rows aside.

        Their webhooks stay: a damaged row may name the wrong one, and a leak is better than a loss.
        """
        for seq in seqs:
            self._db.execute(
                "INSERT INTO quarantine (at, seq, record, frame) SELECT ?, d.seq, d.record, w.frame"
                " FROM deliveries AS d LEFT JOIN webhooks AS w ON w.seq = d.webhook WHERE d.seq = ?",
                (at, seq),
            )
            self.detach(seq)
        self._db.execute(
            "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?", (QUARANTINED,)
        )

    def _row(self, one: Delivery) -> tuple[int, int, int, int, bytes]:
        record = encode_delivery(one, self._clock)
        size = one.size or len(record) + len(one.webhook.raw) + ROW_OVERHEAD
        lane = lane_number(one.target, one.order_key)
        return one.seq, lane, one.webhook_seq, size, seal(record, one.seq, lane, one.webhook_seq, size)

    def _delivery(self, row: Sequence[Any]) -> Delivery:
        seq, lane, webhook_seq, size, record, frame = row
        content = unseal(record, seq, lane, webhook_seq, size)
        webhook = load_webhook(frame, webhook_seq)
        return decode_delivery(
            content, seq=seq, webhook_seq=webhook_seq, size=size, webhook=webhook, clock=self._clock
        )
