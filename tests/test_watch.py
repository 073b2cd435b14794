"""Changes of a file, made as editors and tools make them, seen through real inotify."""

import asyncio
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.watch import LONGEST, QUIET, FileWatch
from tests.support.waiting import eventually

NEVER = 3600.0


class Watched:
    """A watched file in a folder of its own, how often it was said to have changed, and what it held then."""

    def __init__(self, folder: Path, poll: float) -> None:
        self.folder = folder
        self.file = folder / "bridge.yaml"
        self.calls = 0
        self.seen = ""
        self._watch = FileWatch(self._changed, poll=poll)

    def _changed(self) -> None:
        self.calls += 1
        self.seen = self.file.read_text() if self.file.exists() else ""

    def look_at(self, *files: Path) -> None:
        self._watch.watch(files or [self.file])

    async def settled(self) -> None:
        """Every event so far was reported: one more was, which was made after them."""
        await eventually(lambda: self.calls > 0)
        self.calls = 0

    def close(self) -> None:
        self._watch.close()


Make = Callable[..., Watched]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Watched] = []

    def watched(poll: float = NEVER, *, folder: Path | None = None, look: bool = True) -> Watched:
        folder = folder or tmp_path / "etc"
        folder.mkdir(exist_ok=True)
        one = Watched(folder, poll)
        made.append(one)
        if not one.file.exists():
            one.file.write_text("routes: []\n")
        if look:
            one.look_at()
        return one

    yield watched
    for one in made:
        one.close()


def in_place(file: Path) -> None:
    file.write_text("routes: [1]\n")


def like_vim(file: Path) -> None:
    backup = file.with_name(f"{file.name}~")
    file.rename(backup)
    file.write_text("routes: [2]\n")
    backup.unlink()


def renamed_over(file: Path) -> None:
    new = file.with_suffix(".tmp")
    new.write_text("routes: [3]\n")
    new.replace(file)


def sed(file: Path) -> None:
    subprocess.run(["sed", "-i", "s/routes/paths/", str(file)], check=True)


def moved_in(file: Path) -> None:
    elsewhere = file.parent.parent / "new.yaml"
    elsewhere.write_text("routes: [4]\n")
    subprocess.run(["mv", str(elsewhere), str(file)], check=True)


def relinked(file: Path) -> None:
    real = file.parent.parent / "real.yaml"
    real.write_text("routes: [5]\n")
    file.unlink()
    file.symlink_to(real)


def deleted(file: Path) -> None:
    file.unlink()


def mode_changed(file: Path) -> None:
    file.chmod(0o640)


@pytest.mark.parametrize(
    "change", [in_place, like_vim, renamed_over, sed, moved_in, relinked, deleted, mode_changed]
)
async def test_a_change_is_noticed(make: Make, change: Callable[[Path], None]) -> None:
    watched = make()
    change(watched.file)
    await eventually(lambda: watched.calls > 0)


async def test_a_changed_target_of_a_link_is_noticed(make: Make, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "real.yaml"
    real.parent.mkdir()
    real.write_text("routes: []\n")
    watched = make(look=False)
    watched.file.unlink()
    watched.file.symlink_to(real)
    watched.look_at()
    real.write_text("routes: [1]\n")
    await eventually(lambda: watched.calls > 0)


async def test_kubernetes_swaps_a_link_to_a_folder(make: Make, tmp_path: Path) -> None:
    """bridge.yaml -> ..data/bridge.yaml, and ..data -> a folder per version."""
    folder = tmp_path / "mounted"
    folder.mkdir()

    def publish(version: str) -> None:
        (folder / version).mkdir()
        (folder / version / "bridge.yaml").write_text(f"# {version}\n")
        (folder / "..data_tmp").symlink_to(version)
        (folder / "..data_tmp").replace(folder / "..data")

    publish("..1")
    (folder / "bridge.yaml").symlink_to("..data/bridge.yaml")
    watched = make(folder=folder)
    for version in ("..2", "..3"):
        publish(version)
        await eventually(lambda: watched.calls > 0)
        watched.look_at()
        await watched.settled()
    shutil.rmtree(folder / "..1")  # a version that nothing points to
    (folder / "..3" / "bridge.yaml").write_text("# changed behind the link\n")
    await eventually(lambda: watched.calls > 0)


async def a_moment(make: Make, tmp_path: Path) -> None:
    """Long enough for everything that happened before to have been reported."""
    witness = make(folder=tmp_path / "witness")
    in_place(witness.file)
    await eventually(lambda: witness.calls > 0)


async def test_reading_the_file_wakes_nobody(make: Make, tmp_path: Path) -> None:
    watched = make()
    for _ in range(50):
        watched.file.read_text()
        os.listdir(watched.folder)  # noqa: PTH208  # the plain call, as a shell makes it
    await a_moment(make, tmp_path)
    assert watched.calls == 0


async def test_what_is_written_to_other_files_of_the_folder_wakes_nobody(make: Make, tmp_path: Path) -> None:
    watched = make(look=False)
    log = watched.folder / "bridge.log"
    log.touch()
    watched.look_at()
    for _ in range(10):
        log.write_text("a line\n")
    await a_moment(make, tmp_path)
    assert watched.calls == 0


async def test_a_file_that_is_new_in_the_folder_may_be_included(make: Make) -> None:
    watched = make()
    included = watched.folder / "more.yaml"
    included.touch()
    await eventually(lambda: watched.calls == 1)
    watched.look_at(watched.file, included)
    included.write_text("routes: []\n")
    await eventually(lambda: watched.calls == 2)


async def test_a_reader_that_was_woken_is_not_woken_by_its_reading(make: Make, tmp_path: Path) -> None:
    watched = make()
    in_place(watched.file)
    await eventually(lambda: watched.calls == 1)
    watched.look_at()
    await a_moment(make, tmp_path)
    assert (watched.calls, watched.seen) == (1, "routes: [1]\n")


async def test_a_burst_is_one_change(make: Make, tmp_path: Path) -> None:
    watched = make()
    for n in range(100):
        watched.file.write_text(f"routes: [{n}]\n")
    await a_moment(make, tmp_path)
    assert (watched.calls, watched.seen) == (1, "routes: [99]\n")


async def test_a_write_in_steps_is_read_when_it_is_whole(make: Make, tmp_path: Path) -> None:
    watched = make()
    with watched.file.open("w") as file:
        for part in ("routes:\n", "  - name: a\n", "    send: []\n"):
            file.write(part)
            file.flush()
            await asyncio.sleep(QUIET / 5)
    await a_moment(make, tmp_path)
    assert (watched.calls, watched.seen) == (1, "routes:\n  - name: a\n    send: []\n")


async def test_events_that_never_end_do_not_postpone_the_reading_for_ever(make: Make) -> None:
    watched = make()
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not watched.calls:
        in_place(watched.file)
        await asyncio.sleep(QUIET / 4)
        assert loop.time() - began < 5 * LONGEST
    assert loop.time() - began >= LONGEST * 0.9


async def test_a_folder_that_is_deleted_and_made_again(make: Make) -> None:
    watched = make(poll=0.15)
    shutil.rmtree(watched.folder)
    await eventually(lambda: watched.calls > 0)
    watched.look_at()
    await watched.settled()
    watched.folder.mkdir()
    in_place(watched.file)
    await eventually(lambda: watched.calls > 0)


async def test_a_folder_that_was_replaced_is_watched_anew(make: Make, tmp_path: Path) -> None:
    watched = make(poll=NEVER)
    new = tmp_path / "new"
    shutil.copytree(watched.folder, new)
    watched.folder.rename(tmp_path / "old")
    new.rename(watched.folder)
    watched.look_at()  # what a reload by hand does: there is no event and no poll
    in_place(watched.file)
    await eventually(lambda: watched.calls > 0)


async def test_what_no_event_tells_the_poll_finds(make: Make, tmp_path: Path) -> None:
    """A link over two hops: the folder in the middle is not watched."""
    watched = make(poll=0.15, look=False)
    for version in ("one", "two"):
        (tmp_path / version).write_text(f"# {version}\n")
    middle = tmp_path / "middle" / "link"
    middle.parent.mkdir()
    middle.symlink_to(tmp_path / "one")
    watched.file.unlink()
    watched.file.symlink_to(middle)
    watched.look_at()
    other = tmp_path / "middle" / "new"
    other.symlink_to(tmp_path / "two")
    other.replace(middle)
    await eventually(lambda: watched.calls > 0)
    assert watched.file.read_text() == "# two\n"


async def test_a_change_while_the_file_is_read_is_not_lost(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without events: it was written after the reading, and before `watch` was called again."""
    monkeypatch.setattr("bridge.watch.Observer", _no_observer)
    watched = make(poll=0.15)
    in_place(watched.file)
    await eventually(lambda: watched.calls == 1)
    renamed_over(watched.file)
    watched.look_at()
    await eventually(lambda: watched.calls == 2)


def _no_observer() -> None:
    raise OSError(24, "inotify instance limit reached")


async def test_without_inotify_the_poll_serves_and_one_line_says_so(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bridge.watch.Observer", _no_observer)
    with caplog.at_level(logging.WARNING):
        watched = make(poll=0.15)
        for n in range(1, 4):
            watched.file.write_text("#" * n)
            await eventually(lambda: watched.seen == "#" * n)  # noqa: B023  # awaited before n changes
            watched.look_at()
    assert len(caplog.records) == 1
    assert "inotify instance limit reached" in caplog.text


async def test_a_folder_that_is_missing_does_not_blind_it_for_the_others(make: Make, tmp_path: Path) -> None:
    watched = make(look=False)
    watched.look_at(watched.file, tmp_path / "gone" / "more.yaml")
    in_place(watched.file)
    await eventually(lambda: watched.calls > 0)


async def test_a_link_to_itself_is_a_file_like_any(make: Make) -> None:
    watched = make(look=False)
    watched.file.unlink()
    watched.file.symlink_to(watched.file.name)
    watched.look_at()
    watched.file.unlink()
    await eventually(lambda: watched.calls > 0)


async def test_nothing_is_said_after_close(make: Make) -> None:
    watched, other = make(), make()
    in_place(watched.file)
    watched.close()
    await eventually(lambda: other.calls > 0)
    assert watched.calls == 0
