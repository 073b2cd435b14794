from bridge.journal.batch import Batch, Burial
from tests.support.deliveries import delivery


def test_only_changes_make_a_batch() -> None:
    batch = Batch()
    assert not batch
    batch.removes[1] = 1
    assert batch
    assert not batch.grows
    batch.meta["key"] = b""
    assert batch.grows


def test_removals_can_go_ahead_alone() -> None:
    batch = Batch(adds={1: delivery(1)}, removes={2: 2})
    taken = batch.take_removals()
    assert taken.removes == {2: 2}
    assert not taken.grows
    assert batch.adds.keys() == {1}
    assert not batch.removes


def test_what_could_not_be_committed_comes_first_again() -> None:
    older = Batch(adds={1: delivery(1), 2: delivery(2)}, removes={9: 9}, meta={"a": b"1", "b": b"1"})
    older.digests.append(1)
    newer = Batch(adds={3: delivery(3)}, meta={"a": b"2"})
    newer.digests.append(2)
    newer.put_back(older)
    assert list(newer.adds) == [1, 2, 3]
    assert newer.removes == {9: 9}
    assert newer.meta == {"a": b"2", "b": b"1"}
    assert list(newer.digests) == [1, 2]


def test_an_insertion_that_failed_and_its_removal_cancel_each_other() -> None:
    newer = Batch(removes={1: 1, 5: 5})
    newer.put_back(Batch(adds={1: delivery(1), 2: delivery(2)}))
    assert list(newer.adds) == [2]
    assert newer.removes == {5: 5}


def test_a_burial_takes_the_place_of_an_insertion_that_failed() -> None:
    newer = Batch(burials={1: Burial(delivery(1), "c", "r", 0.0)})
    newer.put_back(Batch(adds={1: delivery(1)}))
    assert not newer.adds
    assert newer.burials.keys() == {1}


def test_an_update_is_needless_for_what_is_inserted_or_gone() -> None:
    one, two, three = delivery(1), delivery(2), delivery(3)
    newer = Batch(updates={1: one}, removes={2: 2})
    newer.put_back(Batch(adds={1: one}, updates={2: two, 3: three}))
    assert newer.updates == {3: three}
