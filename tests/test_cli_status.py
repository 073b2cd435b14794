"""The status as people read it."""

from typing import Any

from bridge.cli.status import describe

QUIET: dict[str, Any] = {
    "version": "1.0",
    "node": "pi",
    "uptime": 90061.5,
    "relay": {"state": "subscribed", "reason": "doorbell"},
    "gaps": {
        "name": "off",
        "reason": "",
        "start": None,
        "end": None,
        "found": 0,
        "unreadable": 0,
        "beyond": 0.0,
    },
    "replies": {"sent": 0, "fallbacks": 0, "late": 0, "failed": 0},
    "counters": {"webhooks": 7, "unmatched": 1, "rejected": 2, "duplicates": 3},
    "configuration": {"generation": 1, "outcome": "applied", "problems": []},
    "journal": {"bytes": 64 << 20, "max_bytes": 256 << 20, "dead": 0, "full": ""},
    "routes": {"ring": {"matched": 5, "rejected": 0, "rejection": "", "failed": 0, "dead": 0}},
    "silences": {},
    "targets": {},
}


def test_where_all_is_well_it_is_short() -> None:
    assert describe(QUIET) == [
        "relay-bridge 1.0 on pi, up 1 d 01:01:01",
        "configuration  generation 1 is in use, last reload: applied",
        "relay          subscribed (doorbell)",
        "gaps           off",
        "webhooks       7 received, 1 unmatched, 2 rejected, 3 duplicates",
        "journal        25% of 256 MiB, 0 dead",
    ]


def test_a_gap_says_what_was_found_and_what_was_not() -> None:
    gap = QUIET["gaps"] | {"name": "idle", "start": 0.0, "end": 3600.0, "found": 2, "unreadable": 1}
    lines = describe(QUIET | {"gaps": gap | {"beyond": 7200.0}})
    assert lines[3] == (
        "gaps           idle, 2 missed webhooks found between 1970-01-01 00:00:00Z and 1970-01-01 01:00:00Z"
        ", 1 entries of the relay's log can't be used, 02:00:00 before that can't be asked for"
    )
    unavailable = QUIET["gaps"] | {"name": "unavailable", "reason": "HTTP 403"}
    assert describe(QUIET | {"gaps": unavailable})[3] == "gaps           unavailable (HTTP 403)"


def test_what_somebody_should_look_at_has_a_line() -> None:
    ring = {"matched": 5, "rejected": 2, "rejection": "stale: 400 s old", "failed": 1, "dead": 0}
    home = {"state": "down", "reason": "refused", "delivered": 1, "pending": 2, "dead": 0, "expired": 3}
    answer = QUIET | {
        "journal": QUIET["journal"] | {"full": "the disk is full", "dead": 4},
        "replies": {"sent": 5, "fallbacks": 1, "late": 0, "failed": 0},
        "routes": {"ring": ring},
        "silences": {"meter": {"since": 0.0, "every": 300.0, "grace": 60.0}},
        "targets": {"mqtt:home": home | {"evicted": 4}},
    }
    assert describe(answer)[5:] == [
        "journal        25% of 256 MiB, 4 dead, takes nothing more: the disk is full",
        "replies        5 sent, 1 fallbacks, 0 late, 0 failed",
        "route ring: 5 matched, 2 rejected, 1 failed, 0 dead (stale: 400 s old)",
        "route meter is silent: no webhook since 1970-01-01 00:00:00Z, one is expected every 00:05:00",
        "mqtt:home  down (refused): 1 delivered, 2 pending, 0 dead, 3 expired, 4 evicted",
    ]
