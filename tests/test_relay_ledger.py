from hypothesis import given
from hypothesis import strategies as st

from bridge.relay.ledger import Ledger


def test_nothing_is_acknowledged_before_what_came_earlier() -> None:
    ledger = Ledger()
    for webhook_id in "abc":
        ledger.received(webhook_id)
    assert ledger.accepted("b") == ""
    assert ledger.accepted("a") == "b"
    assert ledger.accepted("a") == ""
    assert ledger.accepted("unknown") == ""
    assert ledger.accepted("c") == "c"


def test_one_without_an_id_is_left_out() -> None:
    ledger = Ledger()
    ledger.received("")
    ledger.received("a")
    assert ledger.accepted("a") == "a"


@given(st.permutations(range(12)))
def test_an_acknowledgement_always_stands_for_accepted_ones_only(order: list[int]) -> None:
    ledger = Ledger()
    for number in range(12):
        ledger.received(str(number))
    accepted: set[int] = set()
    last = -1
    for number in order:
        accepted.add(number)
        found = ledger.accepted(str(number))
        if found:
            assert int(found) > last
            last = int(found)
        assert set(range(last + 1)) <= accepted
        assert last + 1 not in accepted
    assert last == 11
