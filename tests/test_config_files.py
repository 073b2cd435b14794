import os
from pathlib import Path

import pytest

from bridge.config.files import FileChanges, FileTooLarge, is_file, read_file, read_settled
from bridge.errors import ConfigError


def test_bytes_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"\xff\x00\r\n")
    assert read_file(file, 4) == b"\xff\x00\r\n"
    assert read_settled(file, 4) == b"\xff\x00\r\n"


def test_a_large_file(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"12345")
    with pytest.raises(FileTooLarge, match="larger than 4 bytes"):
        read_file(file, 4)


def test_a_pipe_does_not_keep_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_file(tmp_path / "pipe", 10)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "No such file or directory"),
        ("a\0b", "not a path"),
        ("x" * 300, "File name too long"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_what_can_not_be_read(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigError, match=f"can't be read: {reason}"):
        read_file(tmp_path / name, 10)
    assert not is_file(tmp_path / name)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a regular file"):
        read_file(tmp_path, 10)


class Growing(type(Path())):  # type: ignore[misc]  # the class of paths is chosen at run time
    """A path to whose file another process writes before each of the first readings."""

    times: int

    def open(self, *args: object, **kwargs: object) -> object:
        if self.times:
            self.times -= 1
            with Path(self).open("ab") as file:
                file.write(b"x")
        return super().open(*args, **kwargs)


def growing(file: Path, times: int) -> Growing:
    file.touch()
    path = Growing(file)
    path.times = times
    return path


def test_a_file_is_read_until_it_rests(tmp_path: Path) -> None:
    assert read_settled(growing(tmp_path / "a", 3), 99) == b"xxx"


def test_a_file_that_never_rests(tmp_path: Path) -> None:
    with pytest.raises(FileChanges):
        read_settled(growing(tmp_path / "a", 99), 99)
