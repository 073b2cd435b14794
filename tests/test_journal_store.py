import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bridge.journal.batch import Batch
from bridge.journal.deadletters import MAX_AGE, DeadFilter
from bridge.journal.dedupe import LIMIT, PER_ROW
from bridge.journal.deliveries import QUARANTINED
from bridge.journal.store import DEAD_SHARE, SEQS_PER_SESSION, SHRINK_FREE, Store
from bridge.message import Delivery
from tests.support.deliveries import delivery, webhook
from tests.support.journal import FAR, MIB, Desk


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    desks: list[Desk] = []

    def make(max_bytes: int = 64 * MIB) -> Desk:
        desks.append(Desk(tmp_path / f"{len(desks)}.db", max_bytes))
        return desks[-1]

    yield make
    for desk in desks:
        desk.keeper.close()


@pytest.fixture
def desk(make: Callable[..., Desk]) -> Desk:
    return make()


def fan_out(webhook_seq: int, *seqs: int) -> list[Delivery]:
    shared = webhook(b"x" * 1000)
    return [
        delivery(seq, webhook_seq=webhook_seq, webhook=shared, target=f"http:{position}")
        for position, seq in enumerate(seqs)
    ]


# Deliveries


def test_a_lane_is_read_in_the_order_of_its_seqs(desk: Desk) -> None:
    desk.add(delivery(30), delivery(10), delivery(20), delivery(15, order_key="other"))
    desk.add(delivery(5))
    assert desk.seqs() == [5, 10, 20, 30]
    desk.reopen()
    assert desk.seqs() == [5, 10, 20, 30]
    assert desk.seqs(key="other") == [15]
    assert desk.seqs(key=None) == []


def test_reading_stops_at_its_limits_but_gives_at_least_one(desk: Desk) -> None:
    desk.add(*(delivery(seq, size=1000) for seq in range(1, 11)))

    def read(after: int, max_bytes: int, limit: int) -> tuple[list[int], bool]:
        found, more = desk.keeper.attempt(Store.read, "mqtt:home", "route", after, max_bytes, limit)
        return [one.seq for one in found], more

    assert read(0, FAR, 3) == ([1, 2, 3], True)
    assert read(3, 2500, 100) == ([4, 5, 6], True)
    assert read(6, 1, 100) == ([7], True)
    assert read(7, 3000, 3) == ([8, 9, 10], False)
    assert read(10, FAR, 100) == ([], False)


def test_a_webhook_is_stored_once_and_goes_with_its_last_delivery(desk: Desk) -> None:
    three = fan_out(1, 11, 12, 13)
    desk.add(*three[:2])
    desk.add(three[2])
    assert desk.count("webhooks") == 1
    desk.remove(three[0], three[2])
    assert desk.count("webhooks") == 1
    assert desk.seqs("http:1") == [12]
    desk.remove(three[1])
    assert desk.count("webhooks") == 0


def test_removing_twice_takes_nothing_from_others(desk: Desk) -> None:
    one, two = fan_out(1, 11, 12)
    desk.add(one, two)
    desk.remove(one)
    desk.remove(one)
    assert desk.seqs("http:1") == [12]


def test_adding_twice_stores_once(desk: Desk) -> None:
    desk.add(delivery(1))
    desk.add(delivery(1))
    desk.remove(delivery(1))
    assert desk.seqs() == []
    assert desk.count("webhooks") == 0


def test_attempts_are_kept(desk: Desk) -> None:
    one = delivery(1)
    desk.add(one)
    one.attempts, one.not_before = 3, 160.0
    desk.commit(Batch(updates={1: one, 2: delivery(2)}))
    found = desk.keeper.attempt(Store.read, "mqtt:home", "route", 0, FAR, 10)[0]
    assert [(each.seq, each.attempts, each.not_before) for each in found] == [(1, 3, 160.0)]


def test_lanes_are_summed_up(desk: Desk) -> None:
    desk.add(
        delivery(3, size=10), delivery(4, size=20), delivery(1, order_key=None), delivery(2, target="http:x")
    )
    lanes = desk.keeper.attempt(Store.lanes)
    found = {(lane.target, lane.order_key): (lane.count, lane.first_seq) for lane in lanes}
    assert found == {
        ("mqtt:home", "route"): (2, 3),
        ("mqtt:home", None): (1, 1),
        ("http:x", "route"): (1, 2),
    }
    assert next(lane.bytes for lane in lanes if lane.count == 2) == 30


def test_seqs_are_never_used_twice(desk: Desk) -> None:
    first = desk.keeper.attempt(Store.next_seq)
    desk.reopen()
    second = desk.keeper.attempt(Store.next_seq)
    assert second >= first + SEQS_PER_SESSION
    high = 7 * SEQS_PER_SESSION
    desk.bury(delivery(high))
    assert desk.keeper.attempt(Store.next_seq) > high


# Damage


def flip(desk: Desk, table: str, column: str, seq: int) -> None:
    """Flips one bit in the middle of a blob."""
    desk.keeper.close()
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as db:
        query = f"SELECT {column} FROM {table} WHERE seq = ?"  # noqa: S608  # our own names
        row = bytearray(db.execute(query, (seq,)).fetchone()[0])
        row[len(row) // 2] ^= 0x10
        db.execute(f"UPDATE {table} SET {column} = ? WHERE seq = ?", (bytes(row), seq))  # noqa: S608  # our own names
    desk.open()


@pytest.mark.parametrize(("table", "column"), [("deliveries", "record"), ("webhooks", "frame")])
def test_a_flipped_bit_costs_that_delivery_only(desk: Desk, table: str, column: str) -> None:
    desk.add(*(delivery(seq) for seq in (1, 2, 3)))
    flip(desk, table, column, 2)
    assert desk.seqs() == [1, 3]
    assert desk.tally.corrupt == 1
    assert desk.seqs() == [1, 3]
    assert desk.tally.corrupt == 1, "it was set aside, not found again"
    assert desk.count("quarantine") == 1


def test_damage_in_a_key_column_is_found(desk: Desk) -> None:
    desk.add(delivery(1), delivery(2))
    desk.tamper("UPDATE deliveries SET webhook = 1 WHERE seq = 2")
    assert desk.seqs() == [1]
    desk.add(delivery(3))
    desk.tamper("UPDATE deliveries SET size = 'many' WHERE seq = 3")
    assert [lane.count for lane in desk.keeper.attempt(Store.lanes)] == [1]
    assert desk.tally.corrupt == 1


def test_a_missing_webhook_is_damage(desk: Desk) -> None:
    desk.add(delivery(1), delivery(2))
    desk.tamper("DELETE FROM webhooks WHERE seq = 1")
    assert desk.seqs() == [2]
    assert desk.tally.corrupt == 1


def test_the_quarantine_is_bounded(desk: Desk) -> None:
    desk.add(*(delivery(seq) for seq in range(QUARANTINED + 20)))
    desk.tamper("UPDATE deliveries SET lane = lane, size = size + 1")
    assert desk.keeper.attempt(Store.lanes) == []
    assert desk.tally.corrupt == QUARANTINED + 20
    assert desk.count("quarantine") == QUARANTINED


def test_damaged_dead_letters_and_notes_are_counted(desk: Desk) -> None:
    desk.bury(delivery(1), delivery(2), delivery(3))
    desk.commit(Batch(meta={"cursor": b"17"}))
    flip(desk, "dead", "record", 2)
    assert desk.dead() == [1, 3]
    flip(desk, "dead", "record", 3)
    assert desk.keeper.attempt(Store.exhume, 3) is None
    assert desk.dead() == [1]
    desk.tamper("UPDATE meta SET value = x'0011223344'")
    assert desk.keeper.attempt(Store.get, "cursor") is None
    assert desk.tally.corrupt == 1


# Dead letters


def test_a_delivery_moves_to_the_dead_letters(desk: Desk) -> None:
    stored, fresh = fan_out(1, 11, 12)
    desk.add(stored)
    usage = desk.bury(stored, fresh)
    assert usage.dead == 2
    assert desk.seqs("http:0") == []
    assert desk.dead() == [11, 12]
    assert desk.count("webhooks") == 1
    found = desk.keeper.attempt(Store.exhume, 2)
    assert found is not None
    assert found[0].raw == b"x" * 1000
    assert (found[1].seq, found[1].code, found[1].reason) == (12, "http-400", "no")
    assert desk.keeper.attempt(Store.discard, [1, 2, 99])[0] == 2
    assert desk.count("webhooks") == 0
    assert desk.keeper.attempt(Store.exhume, 2) is None


def test_a_burial_that_is_repeated_happens_once(desk: Desk) -> None:
    one = delivery(1)
    desk.add(one)
    desk.bury(one)
    assert desk.bury(one).dead == 1
    desk.keeper.attempt(Store.discard, [1])
    assert desk.count("webhooks") == 0


def test_ids_of_dead_letters_are_never_used_again(desk: Desk) -> None:
    desk.bury(delivery(1), delivery(2))
    desk.keeper.attempt(Store.discard, [2])
    desk.bury(delivery(3))
    letters = desk.keeper.attempt(Store.dead, DeadFilter(), 10, 0)
    assert [letter.id for letter in letters] == [1, 3]
    assert [letter.id for letter in desk.keeper.attempt(Store.dead, DeadFilter(), 10, 1)] == [3]
    assert [letter.id for letter in desk.keeper.attempt(Store.dead, DeadFilter(), 1, 0)] == [1]


def test_dead_letters_are_found_by_what_they_are(desk: Desk) -> None:
    desk.bury(delivery(1, route="a", target="http:x"), code="http-400", at=desk.wall - 10)
    desk.bury(delivery(2, route="b", target="http:x"), code="http-413", at=desk.wall)
    assert desk.dead(route="a") == [1]
    assert desk.dead(target="http:x") == [1, 2]
    assert desk.dead(target="http:x", code="http-413") == [2]
    assert desk.dead(before=desk.wall - 5) == [1]
    assert desk.dead(route="a' OR '1'='1") == []


def test_dead_letters_keep_to_their_share(make: Callable[..., Desk]) -> None:
    desk = make(2 * MIB)
    share = desk.max_bytes // DEAD_SHARE
    body = b"x" * 20_000
    for seq in range(1, 61):
        usage = desk.bury(delivery(seq, webhook=webhook(body)))
        assert usage.dead_bytes <= share
    left = desk.dead()
    assert left == list(range(61 - len(left), 61)), "the oldest go first"
    assert desk.tally.evicted_dead == 60 - len(left) > 0


def test_dead_letters_end_after_a_fortnight_that_really_went_by(desk: Desk) -> None:
    desk.bury(delivery(1))
    desk.wall += 10 * MAX_AGE  # a jump
    desk.keeper.attempt(Store.maintain)
    assert desk.dead() == [1]
    desk.wall -= 10 * MAX_AGE
    desk.monotonic += MAX_AGE + 1
    assert desk.keeper.attempt(Store.maintain).dead == 0
    assert desk.tally.evicted_dead == 1


def test_a_transaction_that_fails_counts_nothing(desk: Desk) -> None:
    with pytest.raises(OverflowError):
        desk.bury(delivery(1), delivery(1 << 63))
    assert desk.keeper.attempt(Store.usage).dead == 0
    assert desk.bury(delivery(3)).dead == 1


# Room


def test_the_oldest_deliveries_of_all_lanes_are_found_first(desk: Desk) -> None:
    desk.add(*(delivery(seq, order_key=f"key{seq % 3}", size=1000) for seq in range(1, 10)))
    first = desk.keeper.attempt(Store.oldest, 2500, 0)
    assert [(one.seq, one.order_key) for one in first] == [(1, "key1"), (2, "key2"), (3, "key0")]
    assert [one.seq for one in desk.keeper.attempt(Store.oldest, 2500, 3)] == [4, 5, 6]
    assert desk.count("webhooks") == 9


def test_over_its_limit_old_keys_go_first(make: Callable[..., Desk]) -> None:
    desk = make(300_000)
    batch = Batch()
    batch.digests.extend(range(60_000))
    assert desk.commit(batch).bytes < 300_000
    kept = [digest for digest, _ in desk.keeper.attempt(Store.digests)]
    assert kept == list(range(60_000 - len(kept), 60_000))
    assert 0 < len(kept) < 60_000


def test_damaged_keys_are_skipped(desk: Desk) -> None:
    for digest in (1, 2, 3):
        desk.commit(Batch(digests=deque([digest])))
    desk.tamper("UPDATE dedupe SET record = x'00' WHERE id = 2")
    assert [digest for digest, _ in desk.keeper.attempt(Store.digests)] == [1, 3]


def test_only_the_last_keys_are_stored(desk: Desk) -> None:
    for start in range(0, 2 * LIMIT, LIMIT // 4):
        desk.commit(Batch(digests=deque(range(start, start + LIMIT // 4))))
    kept = [digest for digest, _ in desk.keeper.attempt(Store.digests)]
    assert kept == list(range(2 * LIMIT - len(kept), 2 * LIMIT))
    assert LIMIT <= len(kept) < LIMIT + PER_ROW


def test_keys_come_back_with_their_age(desk: Desk) -> None:
    batch = Batch()
    batch.digests.extend([5, -6])
    desk.commit(batch)
    desk.wall += 60
    desk.monotonic = 3.0  # rebooted
    desk.reopen()
    found = desk.keeper.attempt(Store.digests)
    assert [digest for digest, _ in found] == [5, -6]
    assert [age for _, age in found] == pytest.approx([60, 60])


def test_a_drained_journal_gives_its_file_back(desk: Desk) -> None:
    body = b"x" * 100_000
    many = [delivery(seq, webhook=webhook(body)) for seq in range(1, SHRINK_FREE // 100_000 + 20)]
    desk.add(*many)
    desk.remove(*many[1:])
    assert desk.keeper.attempt(Store.usage).bytes < MIB
    desk.keeper.attempt(Store.maintain)
    desk.reopen()
    assert desk.path.stat().st_size < MIB
    assert desk.seqs() == [1]
