"""What a journal holds, as the code that serves the bridge reads it, and what is wrong with it in itself."""

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from random import Random

from bridge.journal.deadletters import DeadFilter
from bridge.journal.keeper import Keeper
from bridge.journal.rows import encode_webhook
from bridge.journal.store import Store, Tally
from bridge.message import Delivery, MqttMessage
from tests.support.deliveries import delivery, webhook
from tests.support.journal import FAR, MIB

MAX_BYTES = 64 * MIB
NOTE = "note"


@dataclass(slots=True)
class Contents:
    alive: dict[int, int] = field(default_factory=dict)
    """Attempts by seq."""
    dead: dict[int, int] = field(default_factory=dict)
    """ID by seq."""
    digests: set[int] = field(default_factory=set)
    note: int = 0
    next_seq: int = 0
    problems: list[str] = field(default_factory=list)
    set_aside: int = 0
    """Files that were taken for damaged."""

    def state(self, seq: int) -> str:
        if seq in self.alive:
            return "alive"
        return "dead" if seq in self.dead else "absent"


def made(seq: int, webhook_seq: int) -> Delivery:
    """A delivery whose every field follows from its numbers."""
    chance = Random(seq)
    body = Random(webhook_seq).randbytes(Random(webhook_seq).choice((0, 30, 300, 1000, 5000)))
    payload = chance.choice((None, chance.randbytes(100)))
    return delivery(
        seq,
        webhook_seq=webhook_seq,
        webhook=webhook(body, id=f"log-{webhook_seq}"),
        message=MqttMessage(f"topic/{seq}", payload),
        target=chance.choice(("mqtt:home", "http:http://127.0.0.1:1880")),
        order_key=chance.choice((None, "a", "b")),
        identity=seq,
    )


def inspect(path: Path) -> Contents:
    """Opens the journal twice, as two starts of the bridge would."""
    first, second = _read(path), _read(path)
    for name in ("alive", "dead", "digests", "note"):
        if getattr(first, name) != getattr(second, name):
            second.problems.append(f"changed: {name} between two starts")
    second.problems += first.problems
    second.next_seq = first.next_seq
    second.set_aside = len(list(path.parent.glob("*.corrupt*")))
    return second


def _read(path: Path) -> Contents:
    tally = Tally()
    keeper = Keeper(path, max_bytes=MAX_BYTES, wall=time.time, monotonic=time.monotonic, tally=tally)
    keeper.open()
    try:
        found = keeper.attempt(_contents)
    finally:
        keeper.close()
    if tally.corrupt:
        found.problems.append(f"damaged: {tally.corrupt} rows")
    return found


def _contents(store: Store) -> Contents:
    found = Contents(next_seq=store.next_seq(), note=int(store.get(NOTE) or 0))
    found.digests = {digest for digest, _ in store.digests()}
    count = 0
    refs: Counter[int] = Counter()
    for lane in store.lanes():
        count += lane.count
        rows, _ = store.read(lane.target, lane.order_key, 0, FAR, 1_000_000)
        for row in rows:
            found.alive[row.seq] = row.attempts
            refs[row.webhook_seq] += 1
            found.problems += [f"damaged: {row.seq} has another {name}" for name in _differences(row)]
    if count != len(found.alive):
        found.problems.append(f"lost: the lanes count {count} deliveries and hold {len(found.alive)}")
    for letter in store.dead(DeadFilter(), 1_000_000, 0):
        found.dead[letter.seq] = letter.id
        refs[letter.webhook_seq] += 1
        exhumed = store.exhume(letter.id)
        _, frame = _expected(letter.seq, letter.webhook_seq)
        if exhumed is None or encode_webhook(exhumed[0]) != frame:
            found.problems.append(f"damaged: dead letter {letter.seq} has another webhook")
    if refs != Counter(dict(store._db.execute("SELECT seq, refs FROM webhooks"))):
        found.problems.append("leaked: the webhooks' references don't add up")
    return found


def _differences(row: Delivery) -> list[str]:
    expected, frame = _expected(row.seq, row.webhook_seq)
    names = ("message", "target", "order_key", "route", "generation", "identity")
    different = [name for name in names if getattr(row, name) != getattr(expected, name)]
    return different + (["webhook"] if encode_webhook(row.webhook) != frame else [])


@lru_cache(maxsize=10_000)
def _expected(seq: int, webhook_seq: int) -> tuple[Delivery, bytes]:
    """A delivery as it was made, and its webhook as it is stored: most images hold the same ones."""
    one = made(seq, webhook_seq)
    return one, encode_webhook(one.webhook)
