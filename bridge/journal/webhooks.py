"""The table of webhooks: each stored once, gone with the last row that needs it."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping

from bridge.journal.rows import decode_webhook, encode_webhook, seal, unseal
from bridge.webhook import Webhook


class Webhooks:
    """Webhooks by seq, with the number of rows that refer to each."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def keep(self, webhooks: Mapping[int, Webhook], needed: Mapping[int, int]) -> None:
        """Stores each webhook that `needed` more rows refer to."""
        self._db.executemany(
            "INSERT INTO webhooks (seq, refs, frame) VALUES (?, ?, ?)"
            " ON CONFLICT (seq) DO UPDATE SET refs = refs + excluded.refs",
            ((seq, refs, seal(encode_webhook(webhooks[seq]), seq)) for seq, refs in needed.items()),
        )

    def release(self, gone: Iterable[int]) -> None:
        """Drops one reference for each time that a webhook's seq occurs."""
        for seq, count in Counter(gone).items():
            last = self._db.execute("DELETE FROM webhooks WHERE seq = ? AND refs <= ?", (seq, count)).rowcount
            if not last:
                self._db.execute("UPDATE webhooks SET refs = refs - ? WHERE seq = ?", (count, seq))


def load_webhook(frame: object, seq: int) -> Webhook:
    """A webhook from its row.

    Raises:
        DamagedRow: its checksum is wrong, or it isn't there.
    """
    return decode_webhook(unseal(frame, seq))
