"""`relay-bridge tail`: what it asks the daemon for, and how it shows webhooks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.cli.lines import webhook_lines
from tests.support.cli import ESCAPE, call
from tests.support.control import ControlPeer, control_peer
from tests.support.lines import LINE, hostile

STOPPED = "relay-bridge: the daemon has stopped\n"


@pytest.fixture
def daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ControlPeer]:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    with control_peer(tmp_path) as peer:
        yield peer


def test_a_webhook_is_a_line_until_the_daemon_stops(daemon: ControlPeer) -> None:
    daemon.streams["tail"] = [LINE, LINE | {"number": 8, "path": "/x", "latency": 61.26, "from": "log"}]
    done = call("tail")
    assert (done.status, done.err) == (69, STOPPED)
    assert done.out == (
        "22:13:20Z      7  doorbell POST / -> ring  delivered in 4.2 ms\n"
        "22:13:20Z      8  doorbell POST /x (log) -> ring  delivered in 61.3 s\n"
    )
    assert daemon.requests == [("tail", {"past": 0})]


def test_filters_go_to_the_daemon(daemon: ControlPeer) -> None:
    daemon.streams["tail"] = []
    call("tail", "--bucket", "shop", "--route", "order", "--outcome", "dead", "-n", "20")
    wanted = {"bucket": "shop", "route": "order", "outcome": "dead", "past": 20}
    assert daemon.requests == [("tail", wanted)]


@pytest.mark.parametrize("arguments", [("--outcome", "lost"), ("-n", "201"), ("extra",)])
def test_what_can_not_be_is_refused(daemon: ControlPeer, arguments: tuple[str, ...]) -> None:
    assert call("tail", *arguments).status == 2
    assert daemon.requests == []


def test_what_went_wrong_has_lines_of_its_own(daemon: ControlPeer) -> None:
    retrying = LINE["deliveries"][0] | {"outcome": "retrying", "attempts": 3, "reason": "http-503: busy"}
    refused = {"route": "paid", "code": "stale", "reason": "400 s old"}
    line = LINE | {"outcome": "retrying", "latency": None, "deliveries": [*LINE["deliveries"], retrying]}
    daemon.streams["tail"] = [line | {"rejected": [refused]}]
    assert call("tail").out == (
        "22:13:20Z      7  doorbell POST / -> ring  retrying\n"
        "    paid: stale, 400 s old\n"
        "    ring -> mqtt:home a retrying after 3 attempts: http-503: busy\n"
    )


def test_for_machines_each_line_is_an_object(daemon: ControlPeer) -> None:
    daemon.streams["tail"] = [LINE | {"path": "/\x9b\x1b[2J"}, {"missed": 3}]
    done = call("tail", "--format", "json")
    assert [json.loads(line).get("missed") for line in done.out.splitlines()] == [None, 3]
    assert json.loads(done.out.splitlines()[0])["path"] == "/\x9b\x1b[2J"
    assert done.out.isascii()
    assert ESCAPE not in done.out


def test_what_was_missed_is_said(daemon: ControlPeer) -> None:
    daemon.streams["tail"] = [{"missed": 3}]
    done = call("tail")
    assert (done.out, done.err) == ("", f"(3 changes came too fast to be shown)\n{STOPPED}")


def test_nothing_in_it_steers_a_terminal() -> None:
    refused = [{"route": "paid", "code": "stale", "reason": "old"}]
    lines = list(webhook_lines(hostile(LINE | {"rejected": refused}), colour=False))
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines), lines


def test_colour_is_the_outcomes_alone() -> None:
    (line,) = webhook_lines(LINE, colour=True)
    assert line.endswith("\x1b[32mdelivered\x1b[0m in 4.2 ms")
    assert line.count(ESCAPE) == 2


def test_without_a_daemon_it_is_69(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    done = call("tail")
    assert (done.status, done.out) == (69, "")
    assert done.err.startswith("relay-bridge: no daemon runs")
