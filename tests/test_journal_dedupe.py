from hypothesis import given
from hypothesis import strategies as st

from bridge.journal.dedupe import LIMIT, MAX_AGE, PER_ROW, SPARE, RecentKeys, decode, encode, portions


def test_a_key_is_known_until_it_is_too_old() -> None:
    now = [100.0]
    keys = RecentKeys([(7, MAX_AGE - 10)], monotonic=lambda: now[0])
    keys.add(8)
    assert 7 in keys
    assert 8 in keys
    assert 9 not in keys
    now[0] += 11
    assert 7 not in keys
    assert 8 in keys


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=3 * PER_ROW))
def test_digests_survive_as_rows(digests: list[int]) -> None:
    rows = [encode(some) for some in portions(digests)]
    assert [one for row in rows for one in decode(row)] == digests
    assert all(0 < len(row) <= 8 * PER_ROW for row in rows)


def test_a_key_that_is_discarded_is_forgotten() -> None:
    keys = RecentKeys([(7, 0.0)], monotonic=lambda: 0.0)
    keys.discard(7)
    keys.discard(8)
    assert 7 not in keys


def test_of_too_many_known_keys_the_youngest_are_kept() -> None:
    keys = RecentKeys([(digest, 0.0) for digest in range(LIMIT + 2)], monotonic=lambda: 0.0)
    assert [digest in keys for digest in (0, 1, 2, LIMIT + 1)] == [False, False, True, True]


def test_the_oldest_keys_make_room() -> None:
    keys = RecentKeys([], monotonic=lambda: 0.0)
    for digest in range(LIMIT):
        keys.add(digest)
    keys.add(0)  # the youngest again
    last = LIMIT + SPARE - 1
    for digest in range(LIMIT, last):
        keys.add(digest)
    assert all(digest in keys for digest in range(last))
    keys.add(last)
    assert 0 in keys
    assert not any(digest in keys for digest in range(1, SPARE + 1))
    assert all(digest in keys for digest in range(SPARE + 1, last + 1)), "as many as promised"
