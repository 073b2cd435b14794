"""What goes wrong with a route's webhooks, in the log."""

import logging

import pytest

from bridge.complaints import QUIET, Complaints

BAD = ("bad-signature", "it was made with none of the secrets")


def test_a_route_speaks_at_once_then_seldom_and_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    complaints = Complaints("route %s: %d bad ones, the last: %s (%s)", lambda: now[0])
    for _ in range(1000):
        complaints.note("gh", *BAD)
    complaints.note("b", *BAD, target="mqtt:home")
    now[0] += QUIET
    complaints.note("gh", "missing-header", "there is no header x")
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert [record.message for record in caplog.records] == [
        "route gh: 1 bad ones, the last: it was made with none of the secrets (bad-signature)",
        "route b: 1 bad ones, the last: it was made with none of the secrets (bad-signature)",
        "route gh: 1000 bad ones, the last: there is no header x (missing-header)",
    ]
    fields = [(each.__dict__["route"], each.__dict__["code"]) for each in caplog.records]
    assert fields == [("gh", "bad-signature"), ("b", "bad-signature"), ("gh", "missing-header")]
    assert caplog.records[1].__dict__["target"] == "mqtt:home"
