from pathlib import Path

import pytest

from bridge.doctor.finding import Check, Finding, State
from bridge.doctor.machine import MIB, check_disk, check_memory, check_modes
from tests.support.doctor import installation, wrong


def by_check(found: list[Finding]) -> dict[Check, Finding]:
    return {one.check: one for one in found}


@pytest.mark.parametrize(
    ("mode", "secret", "routing"),
    [
        (0o600, State.GOOD, State.GOOD),
        (0o640, State.GOOD, State.GOOD),
        (0o644, State.BAD, State.GOOD),
        (0o620, State.BAD, State.BAD),
        (0o602, State.BAD, State.BAD),
    ],
)
def test_modes(mode: int, secret: State, routing: State, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    assert [one.state for one in check_modes([file], [])] == [secret]
    assert [one.state for one in check_modes([], [file])] == [routing]
    assert [one.state for one in check_modes([file], [file])] == [secret]


async def test_a_secret_that_others_can_read_and_the_command_that_mends_it(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        (tmp_path / "mqtt-password").chmod(0o644)
        found = await sound.findings()
    assert wrong(found) == {Check.SECRET_FILES}
    assert found[Check.SECRET_FILES].subject == str(tmp_path / "mqtt-password")
    assert f"chmod o-rwx,g-w {tmp_path / 'mqtt-password'}" in found[Check.SECRET_FILES].remedy


async def test_a_secret_in_a_routing_file_that_others_can_read(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        sound.file.write_text(sound.file.read_text().replace("${file:relay-secret}", "correct horse"))
        found = await sound.findings()
    assert wrong(found) == {Check.SECRET_FILES}
    assert found[Check.SECRET_FILES].subject == str(sound.file)


async def test_a_disk_without_room_for_the_journal(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        sound.write(journal="{max_bytes: 1024GiB}")
        found = await sound.findings()
    assert wrong(found) == {Check.DISK_SPACE}
    assert f"may need {1024 * 1024 + 64} MiB" in found[Check.DISK_SPACE].detail
    assert "journal.max_bytes" in found[Check.DISK_SPACE].remedy


async def test_a_state_folder_that_is_none(tmp_path: Path) -> None:
    async with installation(tmp_path) as sound:
        sound.state.write_text("a file in its place")
        found = await sound.findings()
    assert wrong(found) == {Check.STATE_FOLDER}
    assert "chown" in found[Check.STATE_FOLDER].remedy


def test_what_the_journal_holds_already_needs_no_more_room(tmp_path: Path) -> None:
    assert by_check(check_disk(tmp_path, 1 << 60, 0))[Check.DISK_SPACE].state is State.BAD
    assert by_check(check_disk(tmp_path, 1 << 60, (1 << 60) - MIB))[Check.DISK_SPACE].state is State.GOOD
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("limit", "controllers", "state"),
    [
        ("", "cpu io pids", State.SKIPPED),
        ("MemoryMax=infinity", "cpu io pids", State.SKIPPED),
        ("MemoryMax=100M", "cpu io pids", State.BAD),
        ("MemoryMax=100M", "cpu io memory pids", State.GOOD),
    ],
)
def test_limits_of_memory(limit: str, controllers: str, state: State, tmp_path: Path) -> None:
    drop_in = tmp_path / "etc/systemd/system/relay-bridge.service.d/limits.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(f"[Service]\n{limit}\n")
    groups = tmp_path / "sys/fs/cgroup/cgroup.controllers"
    groups.parent.mkdir(parents=True)
    groups.write_text(f"{controllers}\n")
    [found] = check_memory(tmp_path)
    assert found.state is state
    assert ("cmdline.txt" in found.remedy) is (state is State.BAD)
