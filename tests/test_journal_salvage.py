import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import JournalNewer
from bridge.journal.batch import Batch
from bridge.journal.salvage import salvage
from bridge.journal.schema import migrate
from bridge.journal.store import Store
from tests.support.deliveries import delivery, webhook
from tests.support.journal import Desk

COUNT = 200


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal's file with deliveries 1 … COUNT, ten dead letters and a note."""
    desk = Desk(tmp_path_factory.mktemp("intact") / "journal.db")
    desk.add(*(delivery(seq, webhook=webhook(b"%d" % seq * 300)) for seq in range(1, COUNT + 1)))
    desk.bury(*(delivery(seq) for seq in range(1001, 1011)))
    desk.commit(Batch(meta={"cursor": b"17"}))
    desk.close()
    return desk.path


@pytest.fixture
def fresh() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        yield db


def test_an_intact_file_is_saved_whole(intact: Path, fresh: sqlite3.Connection, tmp_path: Path) -> None:
    file = tmp_path / "journal.db.corrupt-1"
    file.write_bytes(intact.read_bytes())
    saved = salvage(file, fresh)
    assert (saved.deliveries, saved.dead) == (COUNT, 10)
    assert fresh.execute("SELECT count(*), sum(refs) FROM webhooks").fetchone() == (COUNT + 10, COUNT + 10)
    for table in ("meta", "sessions"):
        assert fresh.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)  # noqa: S608  # our own names


def test_nothing_is_saved_from_garbage(fresh: sqlite3.Connection, tmp_path: Path) -> None:
    file = tmp_path / "journal.db.corrupt-1"
    file.write_bytes(os.urandom(20_000))
    saved = salvage(file, fresh)
    assert (saved.deliveries, saved.dead) == (0, 0)


def test_a_bad_page_costs_what_is_on_it(intact: Path, fresh: sqlite3.Connection, tmp_path: Path) -> None:
    damaged = bytearray(intact.read_bytes())
    middle = len(damaged) // 2 // 1024 * 1024
    damaged[middle : middle + 1024] = os.urandom(1024)
    file = tmp_path / "journal.db.corrupt-1"
    file.write_bytes(damaged)
    saved = salvage(file, fresh)
    assert COUNT - 20 < saved.deliveries < COUNT + 1


@given(
    st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None)
def test_damage_anywhere_never_stops_the_start_and_invents_nothing(
    intact: Path, tmp_path_factory: pytest.TempPathFactory, holes: list[tuple[float, bytes]]
) -> None:
    damaged = bytearray(intact.read_bytes())
    for place, noise in holes:
        at = int(place * (len(damaged) - len(noise)))
        damaged[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("damaged") / "journal.db"
    path.write_bytes(damaged)
    try:
        desk = Desk(path)
    except JournalNewer:
        return  # the version itself was hit
    lanes = desk.keeper.attempt(Store.lanes)
    assert {(lane.target, lane.order_key) for lane in lanes} <= {("mqtt:home", "route")}
    found = desk.keeper.attempt(Store.read, "mqtt:home", "route", 0, 1 << 40, 10_000)[0]
    for one in found:
        assert one.webhook.raw == b"%d" % one.seq * 300
    assert [one.seq for one in found] == sorted({one.seq for one in found})
    desk.add(delivery(5000))
    assert 5000 in desk.seqs()
    desk.close()
