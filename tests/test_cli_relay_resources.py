"""`relay-bridge relay init|token|bucket|input|export|import`."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from bridge.selfhosted import hashes
from bridge.selfhosted.settings import read_settings
from tests.support.canary import files_with
from tests.support.cli import Done, call


@pytest.fixture(name="file")
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hashes, "COST", 4)
    file = tmp_path / "relay.yaml"
    assert relay(file, "init", "--state", str(tmp_path / "state")).status == 0
    return file


def relay(file: Path, *arguments: str, stdin: bytes = b"") -> Done:
    return call("relay", "-c", file, *arguments, stdin=stdin)


def said(file: Path, *arguments: str) -> Any:
    done = relay(file, *arguments)
    assert done.status == 0, done.err
    return json.loads(done.out) if done.out else None


def test_init_writes_a_file_that_works_and_never_overwrites_one(file: Path) -> None:
    settings = read_settings(file, {})
    assert [one.name for one in settings.buckets] == ["doorbell"]
    assert len(settings.tokens[0].secret.reveal()) >= 40
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    done = relay(file, "init")
    assert (done.status, "File exists" in done.err) == (1, True)
    assert file.read_text() == text


def test_tokens(file: Path) -> None:
    made = said(file, "token", "create", "--description", "shed", "--bucket", "doorbell")
    declared, shown = said(file, "token", "list")
    assert (declared["id"], shown["id"]) == ("pi", made["key"])
    assert (shown["description"], shown["scopes"]["buckets"]) == ("shed", ["doorbell"])
    assert said(file, "token", "remove", made["key"]) is None
    assert len(said(file, "token", "list")) == 1
    assert relay(file, "token", "remove", made["key"]).err == "relay-bridge: no such token\n"


def test_buckets_and_inputs(file: Path) -> None:
    made = said(file, "bucket", "create", "github")
    entry = said(file, "input", "create", "github", "own", "--path", "/github", "--rate-limit", "10/s")
    assert (entry["path_prefix"], entry["rate_limit"], entry["bucket_id"]) == ("/github", "10/1s", made["id"])
    assert [one["name"] for one in said(file, "input", "list", "github")] == [
        "Default public endpoint",
        "own",
    ]
    said(file, "input", "remove", "github", "own")
    assert [one["name"] for one in said(file, "bucket", "list")] == ["doorbell", "github"]
    said(file, "bucket", "remove", "github")
    assert [one["name"] for one in said(file, "bucket", "list")] == ["doorbell"]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("bucket", "remove", "doorbell"), "this bucket is declared in the relay's file"),
        (("bucket", "create", ""), "name: a name has 1 to 100 characters"),
        (("input", "create", "nobody", "x"), "no such bucket"),
        (("input", "list", "nobody"), "there is no bucket 'nobody'"),
        (("token", "create", "--description", "x" * 2000), "description: longer than 1000 characters"),
    ],
)
def test_mistakes(file: Path, arguments: tuple[str, ...], error: str) -> None:
    done = relay(file, *arguments)
    assert done.status != 0
    assert error in done.err


def test_an_export_can_be_imported_elsewhere_and_keeps_ids(file: Path, tmp_path: Path) -> None:
    said(file, "token", "create")
    said(file, "bucket", "create", "github")
    exported = relay(file, "export").out
    other = tmp_path / "other.yaml"
    other.write_text(f"state: {tmp_path}/other\n")
    for _ in range(2):
        done = relay(other, "import", stdin=exported.encode())
        assert (done.status, done.err) == (0, "1 tokens, 1 buckets\n")
    copied, original = json.loads(relay(other, "export").out), json.loads(exported)
    for one in (*copied["buckets"], *original["buckets"]):
        for part in (one, *one["inputs"]):
            del part["updated_at"]
    assert copied == original


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"version": 1}', '{"version": 1, "tokens": [{}], "buckets": []}']
)
def test_what_is_no_export(file: Path, text: str) -> None:
    done = relay(file, "import", stdin=text.encode())
    assert done.status != 0
    assert "Traceback" not in done.err


def test_a_state_is_encrypted_by_moving_it(file: Path, tmp_path: Path) -> None:
    made = said(file, "token", "create", "--description", "beside the garden shed")
    said(file, "bucket", "create", "quiet", "--ephemeral")
    exported = relay(file, "export").out.encode()
    key = base64.b64encode(bytes(32)).decode()
    file.write_text(f"{file.read_text()}state_key: {key}\n")
    refused = relay(file, "token", "list")
    assert refused.status == 78
    assert "it is not encrypted, so it can't be used with a state_key" in refused.err
    (tmp_path / "state").rename(tmp_path / "old")
    assert relay(file, "import", stdin=exported).status == 0
    assert said(file, "token", "list")[-1]["id"] == made["key"]
    assert [one["ephemeral"] for one in said(file, "bucket", "list")] == [False, True]
    assert files_with(tmp_path / "state", made["key"]) == ["resources.db"], "IDs are no secret"
    assert files_with(tmp_path / "state", "beside the garden shed") == []
    assert files_with(tmp_path / "old", "beside the garden shed") == ["resources.db"]
    file.write_text(file.read_text().replace(key, base64.b64encode(bytes(31) + b"x").decode()))
    assert "it is encrypted with another state_key" in relay(file, "token", "list").err


def test_without_a_state_there_is_nowhere_to_keep_anything(tmp_path: Path) -> None:
    file = tmp_path / "relay.yaml"
    file.write_text("tokens: {pi: '${SECRET_OF_THE_SERVICE}'}\nbuckets: {a: }\n")
    assert "SECRET_OF_THE_SERVICE" not in os.environ
    done = relay(file, "token", "list")
    assert (done.status, "nowhere to keep" in done.err) == (78, True)
