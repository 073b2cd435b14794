"""The table of sessions: what each start of the process knew about its clocks."""

import sqlite3
import struct
from collections.abc import Callable

from bridge.journal.clock import PLAUSIBLE, Clock
from bridge.journal.database import transaction
from bridge.journal.rows import DamagedRow, seal, unseal

KEPT = 1000
"""Sessions; a row older than those gets the lifetime that was left when it was stored."""
_RECORD = struct.Struct(">?dd")


def start_session(
    db: sqlite3.Connection, *, wall: Callable[[], float], monotonic: Callable[[], float]
) -> Clock:
    """The clock of a new session, not yet recorded."""
    offsets: dict[int, float | None] = {}
    high_water = PLAUSIBLE
    for session, record in db.execute("SELECT id, record FROM sessions"):
        try:
            known, offset, seen = _RECORD.unpack(unseal(record, session))
        except DamagedRow:
            continue
        offsets[session] = offset if known else None
        high_water = max(high_water, seen)
    newest = max(offsets, default=0)
    return Clock(wall=wall, monotonic=monotonic, session=newest + 1, offsets=offsets, high_water=high_water)


def record_session(db: sqlite3.Connection, clock: Clock) -> None:
    """Records the session, in a transaction of its own."""
    with transaction(db):
        db.execute("DELETE FROM sessions WHERE id <= ?", (clock.session - KEPT,))
        news = write_clock(db, clock)
    if news:
        clock.recorded(news)


def write_clock(db: sqlite3.Connection, clock: Clock) -> tuple[float | None, float] | None:
    """Writes what is new about the clocks, within a transaction; tell the clock once it is committed."""
    news = clock.news()
    if news:
        offset, seen = news
        record = seal(_RECORD.pack(offset is not None, offset or 0.0, seen), clock.session)
        db.execute("INSERT OR REPLACE INTO sessions (id, record) VALUES (?, ?)", (clock.session, record))
    return news
