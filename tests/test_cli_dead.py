"""`relay-bridge dead`: what it asks the daemon for, and how it prints what it is told."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.dead import AT_ONCE
from tests.support.cli import call
from tests.support.control import ControlPeer, control_peer

LETTER = {
    "id": 7,
    "route": "order\x1b[2J",
    "target": "http:shop",
    "place": "/orders/\x9b",
    "code": "http-400",
    "reason": "400 Bad\u202eRequest",
    "attempts": 1,
    "at": 1_700_000_000.0,
    "generation": 1,
}


def letters(count: int) -> list[dict[str, Any]]:
    return [LETTER | {"id": number} for number in range(1, count + 1)]


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPeer]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with control_peer(tmp_path) as peer:
        yield peer


def test_a_listing_asks_page_by_page_and_escapes_what_it_shows(daemon: ControlPeer) -> None:
    daemon.answers["dead-list"] = [{"letters": [LETTER], "after": 7}, {"letters": [LETTER], "after": None}]
    done = call("dead", "list", "--route", "order", "--older-than", "2h")
    assert (done.status, done.err) == (0, "2 dead letters\n")
    assert done.out == 2 * (
        "     7  2023-11-14 22:13:20Z  order\\x1b[2J -> http:shop /orders/\\x9b\n"
        "        http-400: 400 Bad\\u202eRequest\n"
    )
    wanted = {"route": "order", "target": None, "code": None, "older_than": 7200.0}
    assert daemon.requests == [
        ("dead-list", wanted | {"after": 0}),
        ("dead-list", wanted | {"after": 7}),
    ]


def test_a_listing_for_machines_is_a_line_for_each(daemon: ControlPeer) -> None:
    daemon.answers["dead-list"] = [{"letters": letters(2), "after": None}]
    done = call("dead", "list", "--format", "json")
    assert [json.loads(line)["id"] for line in done.out.splitlines()] == [1, 2]
    assert done.out.isascii()


def test_a_retry_knows_all_before_it_touches_the_first(daemon: ControlPeer) -> None:
    count = AT_ONCE + 1
    daemon.answers["dead-list"] = [
        {"letters": letters(count)[:200], "after": 200},
        {"letters": letters(count)[200:], "after": None},
    ]
    stays = {"id": count, "reason": "gone\x1b"}
    daemon.answers["dead-retry"] = [{"kept": []}, {"kept": [stays]}]
    done = call("dead", "retry", "--code", "http-400")
    assert (done.status, done.err) == (1, f"{count} stays: gone\\x1b\n")
    assert done.out == f"{count - 1} of {count} dead letters are on their way again\n"
    assert [name for name, _ in daemon.requests] == ["dead-list"] * 2 + ["dead-retry"] * 2
    asked = [request["ids"] for _, request in daemon.requests[2:]]
    assert asked == [list(range(1, AT_ONCE + 1)), [count]]


def test_ids_are_passed_as_they_are(daemon: ControlPeer) -> None:
    daemon.answers["dead-purge"] = [{"purged": 1}]
    done = call("dead", "purge", "3", "5")
    assert (done.status, done.out) == (0, "1 dead letters are removed\n")
    assert daemon.requests == [("dead-purge", {"ids": [3, 5]})]


@pytest.mark.parametrize("command", ["retry", "purge"])
@pytest.mark.parametrize(
    "arguments",
    [(), ("--all", "3"), ("3", "--route", "order"), ("--all", "--code", "x"), ("0",), ("--older-than", "2")],
)
def test_what_is_meant_has_to_be_said(daemon: ControlPeer, command: str, arguments: tuple[str, ...]) -> None:
    done = call("dead", command, *arguments)
    assert (done.status, done.out) == (2, "")
    assert daemon.requests == []


def test_without_a_daemon_it_is_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    done = call("dead", "list")
    assert (done.status, done.out) == (69, "")
    assert done.err.startswith("relay-bridge: no daemon runs")
