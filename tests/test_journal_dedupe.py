from bridge.journal.dedupe import LIMIT, MAX_AGE, RecentKeys


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


def test_the_oldest_keys_make_room() -> None:
    keys = RecentKeys([], monotonic=lambda: 0.0)
    for digest in range(LIMIT):
        keys.add(digest)
    keys.add(0)  # the youngest again
    keys.add(LIMIT)
    assert 1 not in keys
    assert 0 in keys
    assert LIMIT in keys
