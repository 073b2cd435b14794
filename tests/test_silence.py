"""Silence alarms: when they begin and end, and that a restart does not reset them."""

import logging
from collections.abc import Mapping

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.model import Silence
from bridge.counters import Counts
from bridge.silence import NOTE, NOTE_SECONDS, START_SECONDS, Alarm, SilenceAlarms, silent

HOUR = 3600.0
DAILY = Silence(24 * HOUR, HOUR)


class Notes:
    """Notes in memory, and how often one was written."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.writes = 0

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, value: bytes) -> None:
        self.kept[key] = value
        self.writes += 1

    async def flush(self) -> None:
        """They are durable at once."""


class Rig:
    """Alarms of a process, its counts and its clock; what it told."""

    def __init__(self, notes: Notes | None = None, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.notes = notes or Notes()
        self.counts = Counts()
        self.alarms = SilenceAlarms(self.counts, self.notes, lambda: self.now)
        self.told: list[tuple[str, bool]] = []
        self.alarms.listen(lambda alarm, begins: self.told.append((alarm.route, begins)))

    async def starts(self, silences: Mapping[str, Silence]) -> "Rig":
        await self.alarms.restore()
        self.alarms.use(silences)
        return self

    def goes_by(self, seconds: float) -> None:
        self.now += seconds
        self.alarms.check()

    def takes(self, route: str) -> None:
        self.counts.route(route).matched += 1
        self.alarms.check()

    async def restarts(self, silences: Mapping[str, Silence], after: float) -> "Rig":
        return await Rig(self.notes, self.now + after).starts(silences)


@given(st.floats(60, 1e6), st.floats(0, 1e5), st.floats(0, 3e6), st.booleans())
def test_it_is_silent_once_both_spans_are_over(
    every: float,
    grace: float,
    age: float,
    uncertain: bool,  # drawn by hypothesis
) -> None:
    found = silent({"a": Silence(every, grace)}, {"a": 0.0}, age, {"a"} if uncertain else ())
    over = age - every - grace - (NOTE_SECONDS if uncertain else 0.0)
    if abs(over) > 1e-3:  # floats are added in another order
        assert (found == {"a": Alarm("a", 0.0, every, grace)}) is (over > 0)


async def test_an_alarm_begins_and_ends_and_is_one_line_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "bridge.silence")
    rig = await Rig().starts({"meter": DAILY})
    rig.goes_by(25 * HOUR)
    assert rig.told == []
    for _ in range(5):
        rig.goes_by(1)
    assert rig.told == [("meter", True)]
    assert list(rig.alarms.active) == ["meter"]
    rig.takes("meter")
    rig.goes_by(1)
    assert rig.told == [("meter", True), ("meter", False)]
    assert rig.alarms.active == {}
    levels = [(record.levelname, getattr(record, "route", None)) for record in caplog.records]
    assert levels == [("WARNING", "meter"), ("INFO", "meter")]


async def test_every_webhook_puts_it_off() -> None:
    rig = await Rig().starts({"meter": DAILY})
    for _ in range(10):
        rig.goes_by(20 * HOUR)
        rig.takes("meter")
    assert rig.told == []


async def test_only_the_routes_that_expect_something_are_watched() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.takes("doorbell")
    rig.goes_by(100 * HOUR)
    assert rig.told == [("meter", True)]


async def test_a_restart_goes_on_where_it_was() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.takes("meter")
    rig.goes_by(20 * HOUR)
    rig.alarms.note()
    rig = await rig.restarts({"meter": DAILY}, after=HOUR)
    rig.goes_by(4 * HOUR)
    assert rig.told == []
    rig.goes_by(2 * NOTE_SECONDS)
    assert rig.told == [("meter", True)]
    rig.alarms.note()
    again = await rig.restarts({"meter": DAILY}, after=60)
    again.goes_by(START_SECONDS + 1)
    assert again.told == [("meter", True)]
    assert again.alarms.active["meter"].since == rig.alarms.active["meter"].since


async def test_many_restarts_do_not_put_it_off() -> None:
    rig = await Rig().starts({"meter": DAILY})
    for _ in range(26):
        rig.goes_by(HOUR / 2)
        rig.alarms.note()
        rig = await rig.restarts({"meter": DAILY}, after=HOUR / 2)
    rig.goes_by(START_SECONDS + NOTE_SECONDS)
    assert rig.told == [("meter", True)]


async def test_a_start_waits_for_what_is_still_asked_for() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.alarms.note()
    rig = await rig.restarts({"meter": DAILY}, after=100 * HOUR)
    rig.goes_by(START_SECONDS - 1)
    rig.takes("meter")
    rig.goes_by(START_SECONDS)
    assert rig.told == []


async def test_a_clock_that_is_behind_delays_the_alarm_and_nothing_else() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.alarms.note()
    rig = await rig.restarts({"meter": DAILY}, after=-1000 * HOUR)
    rig.goes_by(24 * HOUR)
    assert rig.told == []
    rig.goes_by(2 * HOUR)
    assert rig.told == [("meter", True)]


async def test_a_reload_keeps_the_time_of_a_route_that_stays() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.goes_by(20 * HOUR)
    rig.alarms.use({"meter": DAILY, "pump": DAILY})
    rig.goes_by(6 * HOUR)
    assert rig.told == [("meter", True)]
    rig.alarms.use({"pump": DAILY})
    assert rig.told == [("meter", True), ("meter", False)]
    assert rig.alarms.active == {}


async def test_the_note_is_written_rarely() -> None:
    rig = await Rig().starts({"meter": DAILY})
    rig.alarms.note()
    before = rig.notes.writes
    for _ in range(720):
        rig.takes("meter")
        rig.goes_by(5)
    assert 0 < rig.notes.writes - before <= 3600 / NOTE_SECONDS + 1
    last = rig.notes.writes
    rig.goes_by(HOUR)
    rig.goes_by(HOUR)
    assert rig.notes.writes <= last + 1


@pytest.mark.parametrize("note", [b"", b"{", b"[1]", b'{"meter": "x"}', b'{"other": 5}'])
async def test_a_strange_note_is_no_note(note: bytes) -> None:
    notes = Notes()
    notes.kept[NOTE] = note
    rig = await Rig(notes).starts({"meter": DAILY})
    rig.goes_by(25 * HOUR + 1)
    assert rig.told == [("meter", True)]
    rig.alarms.note()
    assert list(orjson.loads(notes.kept[NOTE])) == ["meter"]
