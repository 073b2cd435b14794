"""Log lines as they reach a terminal, a machine and journald: written by a real process."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.logs.journald import LONGEST, encode
from tests.support.process import BridgeProcess
from tests.support.waiting import eventually, eventually_async

PROGRAM = """
import logging
from pathlib import Path
from bridge.logs import journald, set_level, set_up_logging
journald.SOCKET = Path({journald!r})
set_up_logging({level!r}, {form!r})
log = logging.getLogger("bridge.test")
{body}
"""


def program_of(body: str, *, level: str = "info", form: str = "text", journald: str = "/nonexistent") -> str:
    return PROGRAM.format(body=body, level=level, form=form, journald=journald)


def written(body: str, *, level: str = "info", form: str = "text", **environment: str) -> list[str]:
    """The lines on stderr of a process that logs."""
    program = program_of(body, level=level, form=form)
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, check=True
    )
    return done.stderr.decode().split("\n")[:-1]


def test_a_line_has_time_level_and_place() -> None:
    (line,) = written("log.info('%d webhooks', 3)")
    clock, rest = line.split(" ", 1)
    assert len(clock) == len("12:34:56")
    assert rest == "INFO    bridge.test: 3 webhooks"


def test_levels() -> None:
    body = "log.debug('d'); log.info('i'); log.warning('w'); log.error('e')"
    assert [line[-1] for line in written(body, level="warning")] == ["w", "e"]
    assert [line[-1] for line in written(body, level="debug")] == ["d", "i", "w", "e"]


def test_nothing_steers_the_terminal() -> None:
    (line,) = written(r"log.error('%s', '\x1b[2J \x9b1m \r \x00 \u202e \x7f \t caf\xe9 \U0001f600')")
    assert line.endswith(r"\x1b[2J \x9b1m \r \x00 \u202e \x7f \t café 😀")
    assert line.isprintable()


def test_a_message_cannot_pass_for_several() -> None:
    first, second = written(r"log.info('a webhook\n12:00:00 ERROR   bridge.relay: made up')")
    assert first.endswith("a webhook")
    assert second == "    12:00:00 ERROR   bridge.relay: made up"


def test_a_traceback_is_kept() -> None:
    body = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    log.critical('oh', exc_info=error)"
    lines = written(body)
    assert lines[-1] == "    ZeroDivisionError: division by zero"


def test_libraries_are_quiet_even_when_we_are_not() -> None:
    body = "\n".join(
        f"logging.getLogger({name!r}).info('chatter')"
        for name in ("websockets.client", "watchdog.observers", "aiohttp.access", "asyncio")
    )
    assert written(body, level="debug") == []


def test_a_message_that_does_not_fit_its_arguments_harms_nobody() -> None:
    lines = written("log.info('%d', 'x'); log.info('on')")
    assert lines[-1].endswith("on")


def test_the_level_changes_while_it_runs() -> None:
    body = "log.debug('1'); print(set_level('debug')); log.debug('2'); set_level('error'); log.warning('3')"
    assert [line[-1] for line in written(body)] == ["2"]


async def test_a_running_daemon_takes_another_level(tmp_path: Path) -> None:
    routing = "relay: {url: 'ws://127.0.0.1:1/', key: a, secret: b}\nconsole: off\nroutes: []\n"
    bridge = BridgeProcess(tmp_path, routing)
    try:
        await bridge.start(subscribed=False)
        await eventually_async(lambda: bridge.try_ask("status"), 20)
        assert " DEBUG " not in bridge.log_text()
        assert await bridge.ask("log-level", level="debug") == {"level": "debug", "before": "info"}
        await eventually(lambda: " DEBUG " in bridge.log_text(), 20)  # of the relay's next attempt
        for wrong in ({"level": "loud"}, {"level": 7}, {}, {"level": "info", "for": "ever"}):
            assert "error" in await bridge.ask("log-level", **wrong)
        assert await bridge.ask("log-level", level="error") == {"level": "error", "before": "debug"}
    finally:
        await bridge.kill()


# For machines


def test_json_is_one_object_a_line_with_the_events_fields() -> None:
    extra = {"route": "doorbell", "target": "http:shop", "seconds": 1.5}
    (line,) = written(f"log.warning('%s is down', 'it', extra={extra!r})", form="json")
    entry = json.loads(line)
    at = datetime.fromisoformat(entry.pop("time"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert entry == {
        "level": "warning",
        "logger": "bridge.test",
        "message": "it is down",
        "route": "doorbell",
        "target": "http:shop",
        "seconds": "1.5",
    }


def test_json_of_hostile_text_is_one_ascii_line() -> None:
    hostile = '\x1b[2J\n{"level": "error"}\r\u2028\ud800"'
    (line,) = written(f"log.info('%s', {hostile!r}, extra={{'webhook': {hostile!r}}})", form="json")
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == hostile
    assert json.loads(line)["webhook"].isprintable()


# journald


@pytest.fixture
def journald() -> Iterator[socket.socket]:
    """Stands in for journald at its socket."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening,
    ):
        listening.bind(f"{folder}/socket")
        listening.settimeout(10)
        yield listening


def run_under_journald(body: str, address: str, level: str = "info") -> list[str]:
    """What a process writes to a stderr of which JOURNAL_STREAM tells the device and inode."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stat = os.fstat(theirs.fileno())
        subprocess.run(
            [sys.executable, "-c", program_of(body, level=level, journald=address)],
            env=os.environ | {"JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"},
            stderr=theirs.fileno(),
            check=True,
            timeout=30,
        )
        theirs.close()
        with ours.makefile("rb") as stream:
            return stream.read().decode().split("\n")[:-1]


def entries(journald: socket.socket, body: str, level: str = "info") -> list[dict[str, str]]:
    """What journald gets of a process that logs, and nothing is left on stderr."""
    assert run_under_journald(body, journald.getsockname(), level) == []
    found = []
    journald.setblocking(False)
    while True:
        try:
            found.append(parsed(journald.recv(1 << 20)))
        except BlockingIOError:
            return found


def parsed(datagram: bytes) -> dict[str, str]:
    """A datagram as journald reads it: `NAME=value`, or a name, a length and that many bytes."""
    found: dict[str, str] = {}
    while datagram:
        line, _, rest = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", rest[:8])
            value, end, rest = rest[8 : 8 + length], rest[8 + length : 9 + length], rest[9 + length :]
            assert (len(value), end) == (length, b"\n")
        assert name.decode() not in found, "a field came twice"
        found[name.decode()] = value.decode()
        datagram = rest
    return found


def test_journald_gets_the_events_fields(journald: socket.socket) -> None:
    extra = {"route": "doorbell", "target": "mqtt:home", "bucket": "door", "webhook": "abc", "other": 1}
    (entry,) = entries(journald, f"log.warning('%s rings', 'it', extra={extra!r})")
    assert entry.pop("CODE_LINE").isdigit()
    assert entry == {
        "MESSAGE": "it rings",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "relay-bridge",
        "LOGGER": "bridge.test",
        "CODE_FILE": "<string>",
        "CODE_FUNC": "<module>",
        "RELAY_BRIDGE_ROUTE": "doorbell",
        "RELAY_BRIDGE_TARGET": "mqtt:home",
        "RELAY_BRIDGE_BUCKET": "door",
        "RELAY_BRIDGE_WEBHOOK": "abc",
    }


def test_journald_gets_syslog_priorities(journald: socket.socket) -> None:
    body = "log.debug('d'); log.info('i'); log.warning('w'); log.error('e'); log.critical('c')"
    found = [(entry["MESSAGE"], entry["PRIORITY"]) for entry in entries(journald, body, "debug")]
    assert found == [("d", "7"), ("i", "6"), ("w", "4"), ("e", "3"), ("c", "2")]


def test_a_traceback_is_in_its_entry(journald: socket.socket) -> None:
    body = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    log.critical('oh', exc_info=error)"
    (entry,) = entries(journald, body)
    first, *_, last = entry["MESSAGE"].split("\n")
    assert (first, last) == ("oh", "    ZeroDivisionError: division by zero")


def test_hostile_text_adds_no_field(journald: socket.socket) -> None:
    hostile = "x\nPRIORITY=0\nRELAY_BRIDGE_ROUTE=evil\n\nMESSAGE\n\x00\x1b[2J\ud800"
    body = f"log.info('%s', {hostile!r}, extra={{'webhook': {hostile!r}}}); log.info('next')"
    entry, after = entries(journald, body)
    assert set(entry) == set(after) | {"RELAY_BRIDGE_WEBHOOK"}
    assert entry["PRIORITY"] == "6"
    assert entry["MESSAGE"].startswith("x\n    PRIORITY=0\n    RELAY_BRIDGE_ROUTE=evil\n")
    assert all(line.isprintable() for line in entry["MESSAGE"].split("\n"))
    assert entry["RELAY_BRIDGE_WEBHOOK"].isprintable()


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True), st.text()))
def test_any_values_arrive_as_they_are(entry: dict[str, str]) -> None:
    sent = {name: value.encode(errors="backslashreplace").decode() for name, value in entry.items()}
    assert parsed(encode(entry)) == sent


def test_a_long_message_is_cut_and_not_lost(journald: socket.socket) -> None:
    (entry,) = entries(journald, "log.info('é' * 1_000_000, extra={'webhook': 'w' * 1_000_000})")
    assert entry["MESSAGE"].endswith("é…")
    assert LONGEST - 2 <= len(entry["MESSAGE"].removesuffix("…").encode()) <= LONGEST
    assert len(entry["RELAY_BRIDGE_WEBHOOK"]) == 1000


def test_a_journald_that_hangs_stops_nobody_and_what_was_lost_is_told(journald: socket.socket) -> None:
    body = f"""
for number in range(2000):
    log.info('%d', number)
import socket
again = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journald.SOCKET.unlink()
again.bind({journald.getsockname()!r})
log.info('on')
log.info('and on')
assert b'RELAY_BRIDGE_LOST' in again.recv(65536)
assert b'RELAY_BRIDGE_LOST' not in again.recv(65536)
"""
    found = entries(journald, body)
    numbers = [int(entry["MESSAGE"]) for entry in found]
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < 2000


def test_where_journald_has_no_socket_its_stream_gets_priorities_and_no_time() -> None:
    body = r"log.debug('d'); log.info('i'); log.warning('w\nmore'); log.error('e'); log.critical('c')"
    assert run_under_journald(body, "/nonexistent", "debug") == [
        "<7>bridge.test: d",
        "<6>bridge.test: i",
        "<4>bridge.test: w",
        "<4>    more",
        "<3>bridge.test: e",
        "<2>bridge.test: c",
    ]


def test_a_terminal_of_a_service_is_not_journald() -> None:
    (line,) = written("log.info('hello')", JOURNAL_STREAM="8:12345")
    assert "INFO" in line
