import socket
from pathlib import Path

import pytest

from bridge.web.hosts import is_loopback, is_own

LOOPBACK = ("127.0.0.1", 8765)
EVERYWHERE = ("0.0.0.0", 8765)  # noqa: S104  # what is tested


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765", "127.1.2.3:8765"]
)
def test_this_machines_names_are_its_own(host: str) -> None:
    assert is_own(host, LOOPBACK)
    assert is_own(host, EVERYWHERE)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:8765", "127.0.0.1.evil.example:8765", "localhost.evil.example:8765"),
        *(
            "127.0.0.1:80",
            "127.0.0.1",
            "localhost:8766",
            "127.0.0.1:8765.evil.example",
            "127.0.0.1:8765:8765",
        ),
        *("", ":8765", "@127.0.0.1:8765", "evil.example@127.0.0.1:8765", "127.0.0.1:8765/", "0x7f.1:8765"),
        *("0.0.0.0:8765", "192.168.1.5:8765", "[::ffff:192.168.1.5]:8765", "a" * 300, "localhost\n:8765"),
    ],
)
def test_other_names_are_strangers_where_only_this_machine_can_connect(host: str) -> None:
    assert not is_own(host, LOOPBACK)


def test_where_others_can_connect_addresses_and_the_machines_name_will_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Shed")
    for host in ("192.168.1.5:8765", "[fd00::5]:8765", "shed:8765", "shed.local:8765"):
        assert is_own(host, EVERYWHERE), host
    for host in ("evil.example:8765", "shed.evil.example:8765", "192.168.1.5:80"):
        assert not is_own(host, EVERYWHERE), host


def test_the_name_that_is_listened_at_is_its_own() -> None:
    assert is_own("pi.lan:8765", ("pi.lan", 8765))
    assert not is_own("other.lan:8765", ("pi.lan", 8765))


def test_the_ports_of_a_forwarded_unix_socket_are_somebody_elses() -> None:
    path = Path("/run/relay-bridge/console.sock")
    assert is_own("localhost", path)
    assert is_own("127.0.0.1:9000", path)
    assert not is_own("evil.example:9000", path)


def test_port_80_goes_without_saying() -> None:
    assert is_own("localhost", ("127.0.0.1", 80))


def test_loopback() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.5.5.5", "::1", "localhost"]))
    assert not any(map(is_loopback, ["::", "192.168.1.5", "pi.local", "localhost.example"]))
