"""How the bridge is, in a few words."""

from typing import Any, Final

import pytest

from bridge.home.health import health, info

STATUS: Final[dict[str, Any]] = {
    "version": "0.1.0",
    "node": "pi",
    "started_at": 0.0,
    "uptime": 61.5,
    "relay": {"state": "subscribed", "reason": "doorbell", "since": 0.0},
    "targets": {
        "mqtt:home": {
            "state": "up",
            "reason": "",
            "since": 0.0,
            "pending": 1,
            "accepted": 8,
            "delivered": 6,
            "dead": 1,
            "expired": 0,
            "evicted": 0,
            "retries": 0,
            "unheard": 2,
        },
        "http:http://127.0.0.1:1880": {
            "state": "up",
            "reason": "",
            "since": 0.0,
            "pending": 2,
            "accepted": 5,
            "delivered": 3,
            "dead": 0,
            "expired": 0,
            "evicted": 0,
            "retries": 4,
        },
        "mqtt:old": {
            "state": "not configured",
            "reason": "",
            "since": None,
            "pending": 0,
            "accepted": 0,
            "delivered": 0,
            "dead": 0,
            "expired": 0,
            "evicted": 0,
            "retries": 0,
        },
    },
    "counters": {"webhooks": 12, "duplicates": 0, "unmatched": 0, "rejected": 0},
    "silences": {},
    "journal": {"bytes": 4096, "full": ""},
    "configuration": {
        "outcome": "applied",
        "generation": 3,
        "fingerprint": "8d93d82ed505" + 52 * "0",
        "problems": [{"source": "s3cret"}],
    },
    "process": {"max_rss_kib": 50_000},
}
"""What a daemon says of itself, as far as it is used here."""


def changed(part: str, **values: Any) -> dict[str, Any]:
    return STATUS | {part: STATUS[part] | values}


def test_a_healthy_bridge() -> None:
    assert health(STATUS, 60.0) == {
        "relay": {"connected": True, "state": "subscribed", "reason": ""},
        "brokers": {
            "home": {"state": "up", "reason": "", "pending": 1, "no_subscriber": 2},
            "old": {"state": "not configured", "reason": "", "pending": 0},
        },
        "services": {"http://127.0.0.1:1880": {"state": "up", "reason": "", "pending": 2}},
        "queue": {"pending": 3, "journal_bytes": 4096},
        "counters": {
            "webhooks": 12,
            "duplicates": 0,
            "unmatched": 0,
            "rejected": 0,
            "delivered": 9,
            "dead": 1,
            "expired": 0,
            "evicted": 0,
        },
        "last_webhook": "1970-01-01T00:01:00Z",
        "problem": False,
        "problems": [],
        "configuration": {"outcome": "applied", "generation": 3, "fingerprint": "8d93d82ed505"},
        "process": {"uptime_seconds": 61, "max_rss_kib": 50_000},
    }


def test_what_runs_here() -> None:
    assert info(STATUS, ["ring"]) == {
        "version": "0.1.0",
        "node": "pi",
        "started": "1970-01-01T00:00:00Z",
        "generation": 3,
        "routes": ["ring"],
    }


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (
            changed("relay", state="unauthorized", reason="no\nsuch key"),
            "the relay is unauthorized: no such key",
        ),
        (changed("relay", state="down", reason=""), "the relay is down"),
        (
            changed("targets", **{"mqtt:home": STATUS["targets"]["mqtt:home"] | {"state": "paused"}}),
            "mqtt:home is paused",
        ),
        (changed("silences", meter={"since": 0.0}), "route meter is silent"),
        (changed("configuration", outcome="rejected"), "the routing file was rejected"),
        (changed("journal", full="no room"), "the journal is full: no room"),
    ],
)
def test_a_problem_is_told_in_words(status: dict[str, Any], problem: str) -> None:
    said = health(status, None)
    assert said["problems"] == [problem]
    assert said["problem"] is True


@pytest.mark.parametrize("state", ["connecting", "closed"])
def test_a_start_and_a_stop_are_no_problem(state: str) -> None:
    assert health(changed("relay", state=state), None)["problems"] == []


def test_nothing_of_the_routing_file_is_in_it() -> None:
    assert "s3cret" not in str(health(STATUS, None))
    assert "s3cret" not in str(info(STATUS, []))
