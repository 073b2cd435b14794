"""What the journal does with its tables: synchronous, for one thread, nothing about files or failures."""

import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import orjson

from bridge.crashpoint import crash_at
from bridge.errors import JournalFull
from bridge.journal import dedupe
from bridge.journal.batch import Batch, Burial
from bridge.journal.clock import Clock
from bridge.journal.database import PAGE_SIZE, transaction, translated
from bridge.journal.deadletters import DeadFilter, DeadLetters
from bridge.journal.deliveries import Damaged, Deliveries
from bridge.journal.rows import DamagedRow, DeadLetter, LaneSummary, lane_number, seal, unseal
from bridge.journal.sessions import write_clock
from bridge.journal.webhooks import Webhooks, load_webhook
from bridge.message import Delivery
from bridge.webhook import Webhook

_log = logging.getLogger(__name__)

DEAD_SHARE = 5
"""Dead letters get at most this part of the journal: a fifth."""
SEQS_PER_SESSION = 1 << 36
"""Each session numbers from its own range, so no seq comes twice, not even one that was never stored."""
HIGHEST_SEQ = 1 << 62
"""A seq from there on can only come from a flipped bit."""
SHRINK_FREE = 8 * 1024 * 1024
SHRINK_LIVE = 4 * 1024 * 1024
"""Bytes: the file is rewritten when it is mostly air and what remains is cheap to write."""


DEATHS = "deaths"
"""Key of the note that counts how often the process died with a delivery in flight."""
FATAL = 3
CONVICTED = "it was with its target each of three times that the process died"


@dataclass(slots=True)
class Tally:
    """Counts since the process started."""

    corrupt: int = 0
    """Rows whose checksum was wrong."""
    evicted_dead: int = 0
    """Dead letters that were too old or too many."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How full the journal is."""

    bytes: int = 0
    """Of the file, without its free pages."""
    dead: int = 0
    dead_bytes: int = 0


class Store:
    """The tables behind one open connection."""

    def __init__(self, db: sqlite3.Connection, *, clock: Clock, max_bytes: int, tally: Tally) -> None:
        self._db = db
        self.clock = clock
        self._max_bytes = max_bytes
        self._tally = tally
        self._webhooks = Webhooks(db)
        self._deliveries = Deliveries(db, clock=clock, webhooks=self._webhooks)
        self._dead = DeadLetters(db, clock=clock, share=max_bytes // DEAD_SHARE)

    # Writing

    def commit(self, batch: Batch) -> Usage:
        """Makes a batch durable, all or nothing. Removals come first: their pages serve the insertions."""
        with self._change():
            self._deliveries.remove(batch.removes.items())
            self._bury(batch.burials.values())
            self._deliveries.update(batch.updates.values())
            self._deliveries.insert(batch.adds.values())
            self._remember(batch.digests)
            self._put(batch.meta)
            news = write_clock(self._db, self.clock) if batch.grows else None
            crash_at("journal.before-commit")
        if news:
            self.clock.recorded(news)
        return self.usage()

    def _bury(self, burials: Collection[Burial]) -> None:
        for burial in burials:
            one = burial.delivery
            stored = self._deliveries.detach(one.seq)
            crash_at("journal.burying")
            buried = self._dead.put(burial)  # False where a commit that seemed to fail is repeated
            if buried and not stored:
                self._webhooks.keep({one.webhook_seq: one.webhook}, {one.webhook_seq: 1})
            elif stored and not buried:
                self._webhooks.release([one.webhook_seq])
        if burials:
            self._tally.evicted_dead += self._dead.trim()

    def _remember(self, digests: Collection[int]) -> None:
        if not digests:
            return
        end = self._db.execute("SELECT max(id) FROM dedupe").fetchone()[0] or 0
        for some in dedupe.portions(digests):
            end += len(some)
            row = end, self.clock.now(), seal(dedupe.encode(some), end)
            self._db.execute("INSERT INTO dedupe (id, at, record) VALUES (?, ?, ?)", row)
        self._keep_digests(dedupe.LIMIT)

    def _keep_digests(self, count: int) -> None:
        self._db.execute("DELETE FROM dedupe WHERE id <= (SELECT max(id) FROM dedupe) - ?", (count,))

    def _put(self, meta: Mapping[str, bytes]) -> None:
        rows = ((key, seal(value)) for key, value in meta.items())
        self._db.executemany("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", rows)

    def convict(self, suspects: Iterable[int]) -> tuple[frozenset[int], list[Delivery], Usage]:
        """Counts a death of the process against deliveries, by seq; the third makes one a dead letter.

        Returns:
            Those that are owed and have a death to answer for, and the new dead letters.
        """
        deaths = Counter({int(seq): count for seq, count in orjson.loads(self.get(DEATHS) or b"{}").items()})
        deaths.update(suspects)
        stored = self._deliveries.find(deaths)
        guilty = [one for one in stored if deaths[one.seq] >= FATAL]
        rest = {one.seq: deaths[one.seq] for one in stored if one not in guilty}
        at = self.clock.stamp()
        batch = Batch(
            burials={one.seq: Burial(one, "crash", CONVICTED, at) for one in guilty},
            digests=deque(one.identity for one in guilty if one.identity is not None),
            meta={DEATHS: orjson.dumps(rest, option=orjson.OPT_NON_STR_KEYS)},
        )
        return frozenset(rest), guilty, self.commit(batch)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """A transaction; what was counted in one that fails never happened."""
        before = self._dead.count, self._dead.bytes, self._tally.evicted_dead
        try:
            with transaction(self._db):
                yield
        except BaseException:
            self._dead.count, self._dead.bytes, self._tally.evicted_dead = before
            raise

    # Reading

    def next_seq(self) -> int:
        """Greater than any seq that was ever used."""
        used = 0
        for table in ("webhooks", "deliveries"):
            query = f"SELECT max(seq) FROM {table} WHERE seq < ?"  # noqa: S608  # fixed names
            used = max(used, self._db.execute(query, (HIGHEST_SEQ,)).fetchone()[0] or 0)
        return max(self.clock.session * SEQS_PER_SESSION, used + 1)

    def read(
        self, target: str, order_key: str | None, after: int, max_bytes: int, limit: int
    ) -> tuple[list[Delivery], bool]:
        """Deliveries of a lane in the order of their seqs, and whether the limits left some out."""
        lane = lane_number(target, order_key)
        found, more, damaged = self._deliveries.read(lane, after, max_bytes, limit)
        self._quarantine(damaged)
        return found, more

    def oldest(self, n_bytes: int, after: int) -> list[Delivery]:
        """The oldest deliveries behind a seq that take `n_bytes` together."""
        found, damaged = self._deliveries.oldest(after, n_bytes)
        self._quarantine(damaged)
        return found

    def webhooks(self, after: int, n_bytes: int) -> list[tuple[int, Webhook]]:
        """Webhooks by seq, behind a seq, that take `n_bytes` together; damaged ones are left out."""
        found: list[tuple[int, Webhook]] = []
        rows = self._db.execute("SELECT seq, frame FROM webhooks WHERE seq > ? ORDER BY seq", (after,))
        for seq, frame in rows:
            if n_bytes <= 0:
                break
            with suppress(DamagedRow):  # whoever reads its deliveries sets them aside
                found.append((seq, load_webhook(frame, seq)))
                n_bytes -= len(frame)
        return found

    def lanes(self) -> list[LaneSummary]:
        """Every lane that has deliveries. Reads them all, so it is for the start."""
        found, damaged = self._deliveries.lanes()
        self._quarantine(damaged)
        return found

    def get(self, key: str) -> bytes | None:
        """One of the small notes; None where it is absent or damaged."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        try:
            return row and unseal(row[0])
        except DamagedRow:
            self._tally.corrupt += 1
            return None

    def digests(self) -> list[tuple[int, float]]:
        """Deduplication keys and their ages in seconds, oldest first; those of what is owed come last."""
        now = self.clock.now()
        recent: list[tuple[int, float]] = []
        for end, at, record in self._db.execute(
            "SELECT id, CAST(at AS REAL), record FROM dedupe WHERE at > ? ORDER BY id",
            (now - dedupe.MAX_AGE,),
        ):
            with suppress(DamagedRow):  # a duplicate at most
                recent += [(one, max(0.0, now - at)) for one in dedupe.decode(unseal(record, end))]
        return recent + [(digest, 0.0) for digest in self._deliveries.digests()]

    def _quarantine(self, damaged: Damaged) -> None:
        if not damaged:
            return
        self._tally.corrupt += len(damaged)
        _log.error("%d damaged rows of the journal are set aside, the first is %d", len(damaged), damaged[0])
        # On a full disk they stay where they are, and are skipped again.
        with suppress(JournalFull), translated(), transaction(self._db):
            self._deliveries.quarantine(damaged, self.clock.stamp())

    # Dead letters

    def dead(self, wanted: DeadFilter, limit: int, after: int) -> list[DeadLetter]:
        """Dead letters in the order of their IDs."""
        good, damaged = self._dead.list(wanted, limit=limit, after=after)
        self._drop_dead(damaged)
        return good

    def exhume(self, letter_id: int) -> tuple[Webhook, DeadLetter] | None:
        """A dead letter and its webhook; it stays until it is discarded."""
        try:
            return self._dead.load(letter_id)
        except DamagedRow:
            self._drop_dead([letter_id])
            return None

    def exhume_all(self, ids: Iterable[int], n_bytes: int) -> dict[int, tuple[Webhook, DeadLetter] | None]:
        """As `exhume`, for the first of these IDs that take `n_bytes` together."""
        found: dict[int, tuple[Webhook, DeadLetter] | None] = {}
        for one in ids:
            if n_bytes <= 0:
                break
            letter = found[one] = self.exhume(one)
            n_bytes -= letter[1].size if letter else 0
        return found

    def discard(self, ids: Sequence[int]) -> tuple[int, Usage]:
        """Removes dead letters; how many there were."""
        with self._change():
            count = self._dead.discard(ids)
        return count, self.usage()

    def _drop_dead(self, damaged: Sequence[int]) -> None:
        if damaged:
            self._tally.corrupt += len(damaged)
            _log.error("%d damaged dead letters are removed, the first is %d", len(damaged), damaged[0])
            self.discard(damaged)

    # Room

    def usage(self) -> Usage:
        """How full it is; over its limit, old deduplication keys go first."""
        used = self._used()
        if used > self._max_bytes:
            with transaction(self._db):
                self._keep_digests(dedupe.LIMIT // 16)
            used = self._used()
        return Usage(used, self._dead.count, self._dead.bytes)

    def _used(self) -> int:
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        return int(pages - free) * PAGE_SIZE

    def maintain(self) -> Usage:
        """What is due now and then: old dead letters go, and a file that is mostly air shrinks."""
        with self._change():
            self._tally.evicted_dead += self._dead.trim()
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0] * PAGE_SIZE
        if free > SHRINK_FREE and self._used() < SHRINK_LIVE:
            self._db.execute("VACUUM")  # auto_vacuum would cost a tenth more on every commit
        return self.usage()
