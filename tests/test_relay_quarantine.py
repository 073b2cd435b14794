"""Bad frames: counted without end, kept within bounds, reported rarely."""

import pytest

from bridge.relay.quarantine import KEPT_BYTES, KEPT_FRAMES, REPORT_EVERY, Quarantine


def test_counts_grow_and_frames_stay_bounded() -> None:
    quarantine = Quarantine()
    for number in range(100):
        quarantine.add("garbage", "not JSON", "x" * (KEPT_BYTES + number), 0.0)
    quarantine.add("binary", "no text", b"\x00", 0.0)
    assert quarantine.counts == {"garbage": 100, "binary": 1}
    assert len(quarantine.frames) == KEPT_FRAMES
    assert [frame.size for frame in quarantine.frames][-2:] == [KEPT_BYTES + 99, 1]
    assert all(len(frame.data) <= KEPT_BYTES for frame in quarantine.frames)


def test_each_kind_is_reported_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    quarantine = Quarantine()
    for now in (0.0, 1.0, REPORT_EVERY - 1):
        quarantine.add("garbage", "not JSON", "password=hunter2", now)
        quarantine.add("binary", "no text", b"", now)
    assert len(caplog.records) == 2
    quarantine.add("garbage", "not JSON", "password=hunter2", REPORT_EVERY)
    assert "garbage, 4 so far" in caplog.records[-1].getMessage()
    assert "hunter2" not in caplog.text
