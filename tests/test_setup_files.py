import os
import stat
from pathlib import Path

import pytest

from bridge.secret import Secret
from bridge.setup.files import (
    PRIVATE,
    FileThere,
    NewFile,
    NotWritable,
    new_files,
    refuse_existing,
    refuse_unwritable,
    write,
)
from bridge.setup.starter import Answers, Starter

ANSWERS = Answers(key="the-key", secret=Secret("s3cret"))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_secrets_are_for_their_owner_alone_whatever_the_umask(tmp_path: Path) -> None:
    file = tmp_path / "new" / "bridge.yaml"
    before = os.umask(0o000)
    try:
        write(new_files(Starter(ANSWERS, as_service=False), file), force=False)
    finally:
        os.umask(before)
    folder = file.parent / "credentials"
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {"relay-key": 0o600, "relay-secret": 0o600}
    assert (folder / "relay-secret").read_text() == "s3cret\n"
    assert mode(file) == 0o644
    assert sorted(path.name for path in file.parent.iterdir()) == ["bridge.yaml", "credentials"]


def test_a_service_has_a_drop_in_and_the_routing_file_comes_last(tmp_path: Path) -> None:
    files = new_files(Starter(ANSWERS, as_service=True), tmp_path / "bridge.yaml", tmp_path / "units")
    assert [one.path.relative_to(tmp_path).as_posix() for one in files] == [
        "credentials/relay-key",
        "credentials/relay-secret",
        "units/relay-bridge.service.d/credentials.conf",
        "bridge.yaml",
    ]


def test_what_is_there_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("mine")
    with pytest.raises(FileThere, match="--force"):
        refuse_existing([tmp_path / "other", file])
    with pytest.raises(FileThere):
        write([NewFile(file, "new", PRIVATE)], force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert file.read_text() == "mine"


def test_force_keeps_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("mine")
    write([NewFile(file, "new", PRIVATE)], force=True)
    assert (file.read_text(), mode(file)) == ("new", 0o600)
    assert (tmp_path / "secret.old").read_text() == "mine"


def test_a_link_is_there_too_and_never_written_through(tmp_path: Path) -> None:
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "secret"
    link.symlink_to(elsewhere)
    with pytest.raises(FileThere):
        refuse_existing([link])
    write([NewFile(link, "new", PRIVATE)], force=True)
    assert not elsewhere.exists()
    assert not link.is_symlink()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "not" / "there" / "yet")
    (tmp_path / "file").touch()
    with pytest.raises(NotWritable):
        refuse_unwritable(tmp_path / "file" / "below")
