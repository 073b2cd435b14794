"""`relay-bridge replay`: which webhooks it asks for, and how it tells what became of them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import ESCAPE, call
from tests.support.control import ControlPeer, control_peer
from tests.support.lines import LINE, hostile

SHOWN = "22:13:20Z      7  doorbell POST / (replay) -> ring  delivered in 4.2 ms\n"
REPLAYED = LINE | {"from": "replay"}


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPeer]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with control_peer(tmp_path) as peer:
        for command in ("replay", "replay-log"):
            peer.answers[command] = [{"webhooks": [REPLAYED]}]
        yield peer


@pytest.mark.parametrize(
    ("arguments", "command", "request_"),
    [
        (("7", "3"), "replay", {"numbers": [7, 3], "wait": 10.0}),
        (("--last", "5", "--wait", "1m"), "replay", {"last": 5, "wait": 60.0}),
        (("--since", "1h"), "replay", {"since": 3600.0, "wait": 10.0}),
        (("--since", "1h", "--last", "5"), "replay", {"last": 5, "since": 3600.0, "wait": 10.0}),
        (("--from-relay", "c0ffee", "7"), "replay-log", {"ids": ["c0ffee", "7"], "wait": 10.0}),
        (("--from-relay", "--since", "15m"), "replay-log", {"since": 900.0, "wait": 10.0}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_asked_for(
    daemon: ControlPeer, arguments: tuple[str, ...], command: str, request_: dict[str, Any]
) -> None:
    done = call("replay", *arguments)
    assert (done.status, done.out, done.err) == (0, SHOWN, "1 webhook replayed\n")
    assert daemon.requests == [(command, request_)]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("7", "--last", "1"),
        ("--last", "0"),
        ("--last", "201"),
        ("--since", "yesterday"),
        ("c0ffee",),
        ("0",),
        ("-1",),
        ("²",),
        ("9" * 30,),
        ("--from-relay",),
        ("--from-relay", "--last", "5"),
        ("--from-relay", "c0ffee", "--since", "1h"),
    ],
    ids=" ".join,
)
def test_what_is_meant_has_to_be_said(daemon: ControlPeer, arguments: tuple[str, ...]) -> None:
    done = call("replay", *arguments)
    assert (done.status, done.out) == (2, "")
    assert daemon.requests == []


def test_one_that_is_not_delivered_is_status_1(daemon: ControlPeer) -> None:
    daemon.answers["replay"] = [{"webhooks": [REPLAYED, REPLAYED | {"outcome": "pending", "latency": None}]}]
    done = call("replay", "--last", "2")
    assert (done.status, done.err) == (1, "2 webhooks replayed\n")
    assert done.out.endswith("-> ring  pending\n")


def test_none_is_no_failure(daemon: ControlPeer) -> None:
    daemon.answers["replay"] = [{"webhooks": []}]
    done = call("replay", "--since", "1m")
    assert (done.status, done.out, done.err) == (0, "", "0 webhooks replayed\n")


def test_what_is_shown_does_not_steer_a_terminal_and_machines_get_objects(daemon: ControlPeer) -> None:
    daemon.answers["replay"] = [{"webhooks": [hostile(REPLAYED), REPLAYED]}] * 2
    text, lines = call("replay", "1"), call("replay", "1", "--format", "json")
    assert all(line.isprintable() for line in text.out.splitlines())
    assert not {ESCAPE, "\x9b"} & set(text.out + lines.out)
    assert json.loads(lines.out.splitlines()[1]) == REPLAYED
