"""Rejected webhooks in the log."""

import logging

import pytest

from bridge.rejections import QUIET, Rejections
from bridge.verify.verdict import Rejected

BAD = Rejected("bad-signature", "it was made with none of the secrets")


def test_a_route_speaks_at_once_then_seldom_and_says_how_many(caplog: pytest.LogCaptureFixture) -> None:
    now = [100.0]
    rejections = Rejections(lambda: now[0])
    for _ in range(1000):
        rejections.note("gh", BAD)
    rejections.note("b", BAD)
    now[0] += QUIET
    rejections.note("gh", Rejected("missing-header", "there is no header x"))
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert [record.message for record in caplog.records] == [
        "route gh rejected 1 webhook(s); the last one: it was made with none of the secrets (bad-signature)",
        "route b rejected 1 webhook(s); the last one: it was made with none of the secrets (bad-signature)",
        "route gh rejected 1000 webhook(s); the last one: there is no header x (missing-header)",
    ]
