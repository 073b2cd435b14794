"""When the clock is believed."""

from pathlib import Path

from bridge.clock_sync import CHECKED_EVERY, ClockSync


class Machine:
    """A machine whose clocks and time service are in hand."""

    def __init__(self, folder: Path) -> None:
        self.plausible = True
        self.now = 50.0
        self.looks = 0
        self.sync = ClockSync(self.look, folder=folder, wall=lambda: 1.8e9, monotonic=lambda: self.now)

    def look(self) -> bool:
        self.looks += 1
        return self.plausible

    def believed(self) -> bool:
        """After some time, so that it looks again."""
        self.now += CHECKED_EVERY
        return self.sync.clock().synchronised


def test_where_a_time_service_runs_it_decides(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert not machine.believed()
    (tmp_path / "synchronized").touch()
    assert machine.believed()
    assert machine.looks == 0


def test_elsewhere_a_clock_is_believed_that_is_not_behind(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "none")
    assert machine.believed()
    machine.plausible = False
    assert not machine.believed()


def test_it_looks_every_few_seconds_and_tells_the_time_always(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "none")
    for _ in range(1000):
        assert machine.sync.clock() == (1.8e9, True)
        machine.now += CHECKED_EVERY / 1000
    assert machine.looks == 1
    assert machine.believed()
    assert machine.looks == 2
