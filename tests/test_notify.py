"""systemd's notify protocol, spoken to a real datagram socket."""

import os
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.notify import LONGEST_STATUS, Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def notifier(manager: socket.socket) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": manager.getsockname()})


def test_each_message_is_one_datagram(manager: socket.socket, notifier: Notifier) -> None:
    notifier.ready("3 routes")
    notifier.ready()
    notifier.status("relay connected")
    notifier.watchdog()
    notifier.stopping()
    received = [manager.recv(4096) for _ in range(5)]
    assert received == [
        b"READY=1\nSTATUS=3 routes",
        b"READY=1",
        b"STATUS=relay connected",
        b"WATCHDOG=1",
        b"STOPPING=1",
    ]


def test_reloading_carries_the_time_on_the_monotonic_clock(
    manager: socket.socket, notifier: Notifier
) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    first, second = manager.recv(4096).decode().split("\n")
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert first == "RELOADING=1"
    name, _, value = second.partition("=")
    assert name == "MONOTONIC_USEC"
    assert before <= int(value) <= after


@pytest.mark.parametrize("text", ["up\nREADY=1", "up\x00\x1b[2J", "up\ud800", "é" * 5000])
def test_a_status_is_one_bounded_printable_line(
    manager: socket.socket, notifier: Notifier, text: str
) -> None:
    notifier.status(text)
    sent = manager.recv(65536).decode()
    assert sent.startswith("STATUS=")
    assert sent.isprintable()
    assert len(sent) <= len("STATUS=") + LONGEST_STATUS


def test_an_abstract_socket_is_reached() -> None:
    name = f"relay-bridge-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(5)
        Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"}).watchdog()
        assert listening.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "/nonexistent/notify", "relative", "vsock:2:1", "/" + "x" * 200])
def test_nobody_listening_is_no_error(address: str) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address} if address else {})
    notifier.ready("started")
    notifier.stopping()


def test_a_full_socket_neither_blocks_nor_raises(manager: socket.socket, notifier: Notifier) -> None:
    sent = 2000  # far more than a socket's queue of datagrams holds
    began = time.monotonic()
    for _ in range(sent):
        notifier.watchdog()
    assert time.monotonic() - began < 5
    manager.setblocking(False)
    received = 0
    while True:
        try:
            manager.recv(64)
        except BlockingIOError:
            break
        received += 1
    assert 0 < received < sent


def test_the_watchdog_is_fed_twice_in_its_time() -> None:
    environment = {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}
    assert Notifier.from_environment(environment).watchdog_interval == 30.0
    assert Notifier.from_environment({"WATCHDOG_USEC": "3000000"}).watchdog_interval == 1.5


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": ""},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"},
    ],
)
def test_no_watchdog_where_none_was_asked_of_this_process(environment: dict[str, str]) -> None:
    assert Notifier.from_environment(environment).watchdog_interval is None
