import pytest

from bridge.console.failures import ALLOWED, MOST_ADDRESSES, WINDOW, Failures


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_address_that_is_wrong_too_often_waits_and_others_do_not(clock: Clock) -> None:
    failures = Failures(clock)
    for _ in range(ALLOWED):
        assert failures.wait("192.0.2.1") == 0
        failures.note("192.0.2.1")
    assert failures.wait("192.0.2.1") == WINDOW
    assert failures.wait("192.0.2.2") == 0
    clock.now += WINDOW
    assert failures.wait("192.0.2.1") == 0
    failures.note("192.0.2.1")
    assert failures.wait("192.0.2.1") == 0, "it is counted anew"


def test_a_network_of_ipv6_is_one_address(clock: Clock) -> None:
    failures = Failures(clock)
    for number in range(ALLOWED):
        failures.note(f"2001:db8::{number:x}")
    assert failures.wait("2001:db8::ffff%eth0") > 0
    assert failures.wait("2001:db8:0:1::1") == 0


def test_the_table_is_bounded(clock: Clock) -> None:
    failures = Failures(clock)
    for number in range(MOST_ADDRESSES + 50):
        failures.note(f"10.0.{number // 256}.{number % 256}")
    assert len(failures._table) == MOST_ADDRESSES  # nothing else shows it


def test_a_unix_sockets_clients_are_one(clock: Clock) -> None:
    failures = Failures(clock)
    for _ in range(ALLOWED):
        failures.note("")
    assert failures.wait("") > 0
