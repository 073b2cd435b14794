"""Up, down with a back-off, refused, paused."""

import asyncio
import logging
import time

import pytest

from bridge.message import DELIVERED, Failure, FailureKind, Result
from bridge.targets import http_health
from bridge.targets.http_health import FIRST_WAIT, LONGEST_WAIT, Health
from tests.support.waiting import eventually

UNREACHABLE = Failure(FailureKind.CONNECTION, "refused", "http://h/: Connection refused")
BUSY = Failure(FailureKind.BUSY, "http-503", "http://h/ answered 503")
FORBIDDEN = Failure(FailureKind.REFUSED, "http-403", "http://h/ answered 403")
GONE = Failure(FailureKind.GONE, "http-410", "http://h/ answered 410")


class Watched(Health):
    """A health whose probes are counted; `rand` 0 makes each back-off as short as can be."""

    def __init__(self, rand: float = 0.0) -> None:
        self.probes = 0
        super().__init__("http:h", self._count, lambda: rand)

    def _count(self) -> None:
        self.probes += 1


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger=http_health.__name__)
    return caplog


async def test_a_new_target_is_up() -> None:
    health = Watched()
    assert health.state.name == "up"
    assert health.window(10) == 10


async def test_an_outage_closes_the_window_until_one_probe_is_allowed() -> None:
    health = Watched()
    health.record(UNREACHABLE)
    assert health.state.name == "down"
    assert health.state.reason == UNREACHABLE.reason
    assert health.window(10) == 0
    await eventually(lambda: health.probes == 1)
    assert health.window(10) == 1
    health.record(DELIVERED)
    assert health.state.name == "up"
    assert health.window(10) == 10


async def test_the_last_failure_is_remembered_while_all_is_well_again() -> None:
    health = Watched()
    assert health.last_failure is None
    health.record(BUSY)
    health.record(FORBIDDEN)
    health.record(DELIVERED)
    assert health.state.name == "up"
    assert health.last_failure is not None
    assert health.last_failure.reason == "http-403: http://h/ answered 403"
    assert abs(health.last_failure.at - time.time()) < 60


@pytest.mark.parametrize("answer", [DELIVERED, BUSY, FORBIDDEN, Failure(FailureKind.PERMANENT, "http-400")])
async def test_any_answer_ends_an_outage(answer: Result) -> None:
    health = Watched()
    health.record(UNREACHABLE)
    await eventually(lambda: health.probes == 1)
    health.record(answer)
    assert health.window(10) == 10


async def test_an_answer_before_the_probe_ends_the_outage_and_cancels_the_probe() -> None:
    health = Watched(rand=0.02)
    health.record(UNREACHABLE)
    health.record(DELIVERED)
    assert health.window(10) == 10
    await asyncio.sleep(0.02 * FIRST_WAIT * 3)
    assert health.probes == 0


async def a_turn_of_the_loop() -> None:
    """Let a timer that is due fire, without a timer."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_the_back_off_doubles_and_starts_again_after_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    loop = asyncio.get_running_loop()
    call_later = loop.call_later

    def at_once(delay: float, callback: object, *arguments: object) -> asyncio.TimerHandle:
        waits.append(delay)
        return call_later(0, callback, *arguments)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(loop, "call_later", at_once)
    health = Watched(rand=1.0)
    for _ in range(12):
        health.record(UNREACHABLE)
        await a_turn_of_the_loop()
        assert health.window(1) == 1
    health.record(DELIVERED)
    health.record(UNREACHABLE)
    monkeypatch.undo()
    health.close()
    assert waits == [min(LONGEST_WAIT, FIRST_WAIT * 2**n) for n in range(12)] + [FIRST_WAIT]


async def test_failures_in_flight_when_the_outage_began_are_no_probes(log: pytest.LogCaptureFixture) -> None:
    health = Watched()
    for _ in range(5):
        health.record(UNREACHABLE)
    await eventually(lambda: health.probes == 1)
    health.record(UNREACHABLE)
    await eventually(lambda: health.probes == 2)
    health.record(DELIVERED)
    assert [line.levelname for line in log.records] == ["WARNING", "INFO"]
    assert log.records[0].getMessage() == f"http:h is down: {UNREACHABLE.reason}"
    assert log.records[1].getMessage().startswith("http:h is back after 0.")
    fields = [(line.__dict__["target"], line.__dict__["state"]) for line in log.records]
    assert fields == [("http:h", "down"), ("http:h", "up")]
    assert 0 < log.records[1].__dict__["seconds"] < 1


async def test_since_is_the_outage_s_beginning_and_reason_its_latest() -> None:
    health = Watched()
    health.record(UNREACHABLE)
    began = health.state.since
    await eventually(lambda: health.probes == 1)
    health.record(Failure(FailureKind.CONNECTION, "dns", "no such name"))
    assert health.state.since == began
    assert health.state.reason == "no such name"
    health.close()


async def test_gone_pauses_until_resumed(log: pytest.LogCaptureFixture) -> None:
    health = Watched()
    health.record(GONE)
    for straggler in (DELIVERED, UNREACHABLE, GONE):
        health.record(straggler)
        assert health.state.name == "paused"
        assert health.state.reason == GONE.reason
        assert health.window(10) == 0
    assert health.resume()
    assert health.state.name == "up"
    assert health.window(10) == 10
    assert not health.resume()
    assert [line.levelname for line in log.records] == ["WARNING", "INFO"]


async def test_refusals_are_a_state_and_one_line(log: pytest.LogCaptureFixture) -> None:
    health = Watched()
    for result in (FORBIDDEN, FORBIDDEN, DELIVERED, FORBIDDEN):
        health.record(result)
    assert health.state.name == "refused"
    assert health.state.reason == FORBIDDEN.reason
    assert health.window(10) == 10
    assert len(log.records) == 1


async def test_no_probe_after_close() -> None:
    health = Watched()
    health.record(UNREACHABLE)
    health.close()
    await asyncio.sleep(0.01)
    assert health.probes == 0
