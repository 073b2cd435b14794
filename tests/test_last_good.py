"""The last good routing file, on a real disk."""

import logging
import stat
from pathlib import Path

import pytest

from bridge.last_good import FILE, LastGood

TEXTS = {
    Path("/etc/relay-bridge/bridge.yaml"): "relay: {secret: '${S}'}\r\n# \u00e9 \U0001f600\n".encode(),
    Path("/etc/relay-bridge/routes.d/a.yaml"): b"\xef\xbb\xbfroutes: []\n",
}


def test_what_was_saved_comes_back_byte_for_byte_and_in_its_order(tmp_path: Path) -> None:
    LastGood(tmp_path).save(TEXTS)
    assert list(LastGood(tmp_path).load().items()) == list(TEXTS.items())


def test_the_last_one_counts(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.save(TEXTS)
    last_good.save({Path("/b"): b"new"})
    assert last_good.load() == {Path("/b"): b"new"}
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    LastGood(tmp_path).save(TEXTS)
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_saving_the_same_writes_nothing(tmp_path: Path) -> None:
    last_good = LastGood(tmp_path)
    last_good.save(TEXTS)
    before = (tmp_path / FILE).stat()
    last_good.save(TEXTS)
    after = (tmp_path / FILE).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_save_that_a_power_cut_ended_leaves_the_one_before(tmp_path: Path) -> None:
    LastGood(tmp_path).save(TEXTS)
    (tmp_path / FILE).with_suffix(".new").write_text('{"/etc/relay-bri')
    assert LastGood(tmp_path).load() == TEXTS
    LastGood(tmp_path).save({Path("/b"): b"new"})
    assert LastGood(tmp_path).load() == {Path("/b"): b"new"}


def test_nothing_kept_is_nothing_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert LastGood(tmp_path).load() == {}
    assert LastGood(tmp_path / "no" / "folder").load() == {}
    assert not caplog.records


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"/a": 1}', b'{"/a": "\\ud800"}', b"\xff\xfe", b"null", b'"x"']
)
def test_a_damaged_one_is_as_none_and_is_told(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert LastGood(tmp_path).load() == {}
    assert len(caplog.records) == 1


def test_a_folder_that_is_gone_is_an_error_for_the_caller(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        LastGood(tmp_path / "gone").save(TEXTS)
