"""The status as people read it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.status import describe
from tests.support.cli import ESCAPE, call
from tests.support.control import ControlPeer, control_peer

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
    "journal": {"bytes": 64 << 20, "max_bytes": 256 << 20, "dead": 0, "full": "", "corrupt": 0},
    "console": {"url": "http://127.0.0.1:8765", "problem": ""},
    "routes": {"ring": {"matched": 5, "rejected": 0, "rejection": "", "failed": 0, "limited": 0, "dead": 0}},
    "silences": {},
    "targets": {},
    "process": {"rss_kib": 43 << 10, "max_rss_kib": 60 << 10},
}


def test_where_all_is_well_it_is_short() -> None:
    assert describe(QUIET) == [
        "relay-bridge 1.0 on pi, up 1 d 01:01:01",
        "configuration  generation 1 is in use, last reload: applied",
        "relay          subscribed (doorbell)",
        "gaps           off",
        "webhooks       7 received, 1 unmatched, 2 rejected, 3 duplicates",
        "journal        25% of 256 MiB, 0 dead",
        "memory         43 MiB, 60 MiB at most",
        "console        http://127.0.0.1:8765",
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
    ring = {
        "matched": 5,
        "rejected": 2,
        "rejection": "stale: 400 s old",
        "failed": 1,
        "limited": 3,
        "dead": 0,
    }
    home = {"state": "down", "reason": "refused", "delivered": 5, "pending": 2, "dead": 0, "expired": 3}
    home |= {"evicted": 4, "unheard": 5, "last_failure": {"reason": "mqtt-0x87: Not authorized", "at": 0.0}}
    answer = QUIET | {
        "console": {"url": "", "problem": "not at http://127.0.0.1:8765: Address already in use"},
        "relay": QUIET["relay"] | {"alarm": True, "bad_frames": {"garbage": 2, "binary": 1}},
        "journal": QUIET["journal"] | {"full": "the disk is full", "dead": 4, "corrupt": 1},
        "process": {"rss_kib": None, "max_rss_kib": 60 << 10},
        "replies": {"sent": 5, "fallbacks": 1, "late": 0, "failed": 0},
        "routes": {"ring": ring},
        "silences": {"meter": {"since": 0.0, "every": 300.0, "grace": 60.0}},
        "targets": {"mqtt:home": home},
    }
    lines = describe(answer)
    assert lines[2] == (
        "relay          subscribed (doorbell), it keeps sending a message that can't be taken"
        ", 3 messages were not understood"
    )
    assert lines[5:] == [
        "journal        25% of 256 MiB, 4 dead, 1 rows were damaged, takes nothing more: the disk is full",
        "memory         60 MiB at most",
        "console        not at http://127.0.0.1:8765: Address already in use",
        "replies        5 sent, 1 fallbacks, 0 late, 0 failed",
        "route ring: 5 matched, 2 rejected, 1 failed, 3 limited, 0 dead (stale: 400 s old)",
        "route meter is silent: no webhook since 1970-01-01 00:00:00Z, one is expected every 00:05:00",
        "mqtt:home  down (refused): 5 delivered, 2 pending, 0 dead, 3 expired, 4 evicted",
        "  5 of them had no subscriber",
        "  last failure 1970-01-01 00:00:00Z: mqtt-0x87: Not authorized",
    ]


@pytest.mark.parametrize("trouble", ["rejected", "failed", "limited", "dead"])
def test_each_trouble_of_a_route_gives_it_a_line(trouble: str) -> None:
    lines = describe(QUIET | {"routes": {"ring": QUIET["routes"]["ring"] | {trouble: 1}}})
    assert len(lines) == len(describe(QUIET)) + 1
    assert f"1 {trouble}" in lines[-1]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPeer]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("bridge.cli.status.SECONDS", 0.01)
    with control_peer(tmp_path) as peer:
        yield peer


def test_no_text_in_it_steers_a_terminal(daemon: ControlPeer) -> None:
    answer = QUIET | {
        "relay": {"state": "down", "reason": "\x1b[2J\x9b"},
        "routes": {"\x1b[2J": QUIET["routes"]["ring"] | {"rejected": 1, "rejection": "\x1b[2J\r\n\x9b"}},
    }
    daemon.answers["status"] = [answer]
    done = call("status")
    assert done.status == 0
    assert all(line.isprintable() for line in done.out.splitlines())
    assert "(\\x1b[2J\\x9b)" in done.out


def test_live_without_a_terminal_it_is_printed_until_the_daemon_stops(daemon: ControlPeer) -> None:
    daemon.answers["status"] = [QUIET, QUIET | {"node": "shed"}]
    done = call("status", "--live")
    assert done.status == 69
    first, second, rest = done.out.split("\n\n")
    assert first.splitlines()[0] == "relay-bridge 1.0 on pi, up 1 d 01:01:01"
    assert second.splitlines()[0] == "relay-bridge 1.0 on shed, up 1 d 01:01:01"
    assert (rest, ESCAPE in done.out) == ("", False)


def test_live_for_machines_each_look_is_a_line(daemon: ControlPeer) -> None:
    daemon.answers["status"] = [QUIET, QUIET]
    done = call("status", "--live", "--format", "json")
    assert done.status == 69
    assert [json.loads(line) for line in done.out.splitlines()] == [QUIET, QUIET]


def test_a_console_that_nobody_wants_is_off() -> None:
    assert "console        off" in describe(QUIET | {"console": {"url": "", "problem": ""}})
