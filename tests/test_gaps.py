"""The gap filler at a scripted REST interface: what it asks for, when, and what it says."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from aiohttp import web

from bridge.config.model import GapSettings
from bridge.gaps import TURN, GapFiller, GapState
from bridge.relay.client import RelayState
from bridge.relay.cursor import NOTE
from bridge.webhook import Webhook
from tests.support.rest import NOW, SECRET, ScriptedRest, an_entry, scripted_rest
from tests.support.waiting import eventually

HOUR = 3600.0


class Notes:
    """A journal's notes in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.flushed: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    async def flush(self) -> None:
        self.flushed = dict(self.kept)


class Rig:
    """A filler, and what it took."""

    def __init__(self, relay: ScriptedRest) -> None:
        self.relay = relay
        self.notes = Notes()
        self.taken: list[Webhook] = []
        self.states: list[GapState] = []
        self.is_busy = False
        self.owed: set[str] = set()
        self.later = 0.0
        self.settings = GapSettings(fill=True, horizon=24 * HOUR)
        self.restart()

    def restart(self) -> None:
        """As after a new start of the process: only the notes are left."""
        self.filler = GapFiller(
            self.notes,
            self._take,
            busy=lambda: self.is_busy,
            owes=lambda webhook_id: webhook_id in self.owed,
            told=self.states.append,
            chance=lambda: 0.0,
            monotonic=lambda: time.monotonic() + self.later,
        )
        self.filler.use(self.relay.settings, self.settings)

    def _take(self, webhook: Webhook) -> bool:
        is_new = webhook.id not in self.ids
        self.taken.append(webhook)
        return is_new

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.taken]

    @property
    def until(self) -> float | None:
        note = orjson.loads(self.notes.kept.get(NOTE, b"{}"))
        return float(note["until"]) if "until" in note else None

    def become(self, name: str, silence: float | None = 0.0) -> None:
        self.filler.relay_became(RelayState(name, "", 0.0, 1, silence, alarm=False))

    async def subscribe(self, state: str = "idle") -> None:
        """A subscription begins; the filler gets to a state."""
        known = len(self.states)
        self.become("subscribed")
        await eventually(lambda: state in [one.name for one in self.states[known:]])

    async def away(self, seconds: float) -> None:
        """The connection breaks, and comes back after so long on the relay's clock."""
        self.become("down")
        self.relay.now += seconds

    async def first_start(self) -> None:
        await self.subscribe()
        assert self.taken == []


@pytest.fixture(name="rig")
async def _rig() -> AsyncIterator[Rig]:
    async with scripted_rest() as relay:
        rig = Rig(relay)
        yield rig
        await rig.filler.close()


async def test_the_first_start_has_no_gap(rig: Rig) -> None:
    rig.relay.entries = [an_entry(1, NOW - 10)]
    await rig.first_start()
    assert rig.until == pytest.approx(NOW, abs=2)
    assert rig.notes.flushed == rig.notes.kept, "a process that dies now would have its first start again"


async def test_what_is_missed_before_the_log_could_be_read_for_the_first_time_is_found(rig: Rig) -> None:
    rig.relay.refusals = [web.Response(status=503, headers={"Retry-After": "60"})]
    await rig.subscribe("waiting")
    rig.become("down")
    rig.later += 100
    rig.relay.now += 100
    rig.relay.entries = [an_entry(1, NOW - 10), an_entry(2, NOW + 50)]
    await rig.subscribe()
    assert rig.ids == ["2"]


async def test_what_came_meanwhile_is_found_late_and_in_order(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(600)
    rig.relay.limit = 4
    rig.relay.entries = [an_entry(n, NOW + 30 * n) for n in range(1, 15)]
    await rig.subscribe()
    assert list(dict.fromkeys(rig.ids)) == [str(n) for n in range(1, 15)]
    assert all(one.late for one in rig.taken)
    assert [one.received_at for one in rig.taken] == sorted(one.received_at for one in rig.taken)
    assert rig.taken[0].received_at == NOW + 30
    assert rig.filler.state.found == 14
    assert rig.until == pytest.approx(rig.relay.now - 60, abs=2)


async def test_what_came_live_meanwhile_is_not_taken_from_the_log(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(60)
    rig.relay.entries = [an_entry(1, NOW + 30), an_entry(2, NOW + 59)]
    known = len(rig.states)
    rig.become("subscribed")
    rig.filler.came_live(an_entry(2, NOW)["id"])
    await eventually(lambda: "idle" in [one.name for one in rig.states[known:]])
    assert rig.ids == [an_entry(1, NOW)["id"]]


async def test_a_restart_goes_on_where_the_notes_end(rig: Rig) -> None:
    await rig.first_start()
    rig.become("closed")
    await rig.filler.close()
    rig.relay.now += 300
    rig.relay.entries = [an_entry(1, NOW - 1000), an_entry(2, NOW + 100)]
    rig.restart()
    await rig.subscribe()
    assert rig.ids == ["2"]


async def test_our_own_clock_does_not_matter(rig: Rig) -> None:
    rig.relay.now = (
        86_400.0 * 365
    )  # a relay in 1971, as seen from a board that is right, is the other way round
    await rig.first_start()
    assert rig.until == pytest.approx(rig.relay.now, abs=2)
    rig.relay.entries = [an_entry(1, rig.relay.now + 5)]
    await rig.away(10)
    await rig.subscribe()
    assert rig.ids == ["1"]


async def test_the_record_is_complete_while_subscribed_except_for_the_last_silence(rig: Rig) -> None:
    await rig.first_start()
    live = RelayState("subscribed", "", 0.0, 1, 30.0, alarm=False)
    rig.filler.checkpoint(live, every=0.0)
    assert rig.until == pytest.approx(NOW, abs=2)  # never earlier than what is known
    rig.later = 1000.0
    rig.filler.checkpoint(live)
    assert rig.until == pytest.approx(NOW + 1000 - 30 - 60 - 1, abs=2)
    rig.later = 1001.0
    rig.filler.checkpoint(live)
    assert rig.until == pytest.approx(NOW + 1000 - 30 - 60 - 1, abs=2)  # noted now and then only
    rig.later = 2000.0
    rig.become("down", silence=100.0)
    assert rig.until == pytest.approx(NOW + 2000 - 100 - 60 - 2, abs=2)


async def test_beyond_the_horizon_is_said(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.first_start()
    await rig.away(30 * HOUR)
    rig.relay.entries = [an_entry(1, NOW + HOUR), an_entry(2, NOW + 28.9 * HOUR)]
    await rig.subscribe()
    assert rig.ids == ["2"]
    assert rig.filler.state.beyond == pytest.approx(6 * HOUR, abs=5)
    assert "6.0 hours before" in caplog.text


async def test_a_log_that_begins_after_the_gap_did_is_said(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.first_start()
    await rig.away(600)
    rig.relay.extra = {"complete_since": NOW + 300}
    await rig.subscribe()
    assert rig.filler.state.beyond == pytest.approx(240, abs=5)
    assert "begins at" in caplog.text


@pytest.mark.parametrize("status", [402, 404, 405])
async def test_without_a_log_it_is_said_once_and_not_asked_again(
    rig: Rig, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    rig.relay.refusals = [web.Response(status=status) for _ in range(3)]
    for _ in range(3):
        await rig.subscribe("unavailable")
        rig.become("down")
    assert f"HTTP {status}" in rig.filler.state.reason
    assert len([one for one in caplog.records if one.levelno >= logging.WARNING]) == 1
    assert len(rig.relay.queries) == 3


async def test_trouble_is_waited_out(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.first_start()
    await rig.away(100)
    rig.relay.entries = [an_entry(1, NOW + 50)]
    rig.relay.refusals = [
        web.Response(status=503),
        web.Response(text="<html>captive portal"),
        web.Response(status=429, headers={"Retry-After": "0"}),
    ]
    await rig.subscribe("waiting")
    await eventually(lambda: rig.filler.state.name == "idle")
    assert rig.ids == ["1"]
    assert SECRET not in caplog.text


async def test_retry_after_is_obeyed(rig: Rig) -> None:
    rig.relay.refusals = [web.Response(status=503, headers={"Retry-After": "1"})]
    began = asyncio.get_running_loop().time()
    await rig.subscribe("waiting")
    await eventually(lambda: rig.filler.state.name == "idle")
    assert asyncio.get_running_loop().time() - began >= 1.0


async def test_a_gap_that_was_not_filled_grows_with_the_next_loss(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(100)
    rig.relay.entries = [an_entry(1, NOW + 50)]
    rig.relay.refusals = [web.Response(status=503, headers={"Retry-After": "60"})]
    await rig.subscribe("waiting")
    await rig.away(100)
    rig.relay.entries.append(an_entry(2, NOW + 150))
    await rig.subscribe()
    assert rig.ids == ["1", "2"]


async def test_late_webhooks_let_live_ones_go_first_but_not_for_ever(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(600)
    rig.relay.entries = [an_entry(n, NOW + n) for n in range(2 * TURN)]
    rig.is_busy = True
    await rig.subscribe("filling")
    await eventually(lambda: len(rig.relay.queries) > 1)
    assert rig.taken == []
    await eventually(lambda: len(rig.taken) == TURN, 5)  # a turn, though it never stopped being busy
    assert len(rig.taken) == TURN
    rig.is_busy = False
    await eventually(lambda: len(rig.taken) == 2 * TURN)


async def test_a_lost_connection_stops_a_fill_and_the_next_one_goes_on(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(10 * HOUR)
    rig.relay.entries = [an_entry(n, NOW + n * 600) for n in range(1, 60)]
    rig.is_busy = True
    await rig.subscribe("filling")
    await rig.away(0)
    rig.is_busy = False
    await rig.subscribe()
    assert list(dict.fromkeys(rig.ids)) == [str(n) for n in range(1, 60)]


async def test_progress_outlives_the_process(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(10 * HOUR)
    rig.relay.entries = [an_entry(n, NOW + n * HOUR - 60) for n in range(1, 11)]
    await rig.subscribe("filling")
    await eventually(lambda: len(rig.taken) >= 5, every=0)
    await rig.filler.close()
    begun = len(rig.taken)
    rig.restart()
    asked = len(rig.relay.queries)
    await rig.subscribe()
    assert sorted(set(rig.ids), key=int) == [str(n) for n in range(1, 11)]
    assert begun >= 5
    first = rig.relay.queries[asked]["from"]
    assert first > "2027-01-15T10", "what was filled before is asked for again"


async def test_the_record_does_not_go_past_what_a_crash_would_take(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(2 * HOUR)
    rig.relay.entries = [an_entry(1, NOW + 60)]
    rig.owed = {"1"}
    await rig.subscribe("filling")
    await eventually(lambda: rig.ids == ["1"])
    await eventually(lambda: rig.relay.queries[-1]["from"].startswith("2027-01-15T07:59:"))
    assert rig.until is not None
    assert rig.until < NOW + 60
    rig.owed = set()
    await eventually(lambda: rig.filler.state.name == "idle")
    assert rig.until > NOW + 60


async def test_another_relay_has_a_record_of_its_own(rig: Rig) -> None:
    await rig.first_start()
    await rig.away(100)
    rig.relay.entries = [an_entry(1, NOW + 50)]
    rig.filler.use(replace(rig.relay.settings, key="another"), rig.settings)
    await rig.subscribe()
    assert rig.taken == []


async def test_switched_off_it_asks_nothing_and_forgets(rig: Rig) -> None:
    await rig.first_start()
    rig.filler.use(rig.relay.settings, GapSettings(fill=False))
    asked = len(rig.relay.queries)
    await rig.away(100)
    rig.become("subscribed")
    assert rig.filler.state.name == "off"
    assert rig.until is None
    rig.relay.entries = [an_entry(1, NOW + 50)]
    rig.filler.use(rig.relay.settings, rig.settings)  # switched on again while subscribed
    await eventually(lambda: len(rig.relay.queries) > asked and rig.filler.state.name == "idle")
    assert len(rig.relay.queries) == asked + 1
    assert rig.taken == []


async def test_a_note_that_is_damaged_is_as_none(rig: Rig) -> None:
    rig.notes.put(NOTE, b"{oops")
    await rig.first_start()
    assert rig.until == pytest.approx(NOW, abs=2)


async def test_a_mistake_in_here_is_told_and_ends_nothing_else(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.first_start()
    await rig.away(100)
    rig.relay.entries = [an_entry(1, NOW + 50)]
    rig.filler._take = lambda _: 1 / 0 > 1  # no input is known that makes it fail
    await rig.subscribe("unavailable")
    assert rig.filler.state.reason == "an internal error"
    assert "ZeroDivisionError" in caplog.text
