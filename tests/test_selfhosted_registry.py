"""Changes of resources, in memory and on a disk."""

import logging
import sqlite3
from pathlib import Path

import pytest

from bridge.secret import Secret
from bridge.selfhosted import hashes
from bridge.selfhosted.documents import bucket_document, token_document
from bridge.selfhosted.fields import BadResource
from bridge.selfhosted.registry import Registry, ResourceProblem
from bridge.selfhosted.resources import Bucket, Token
from bridge.selfhosted.shelf import FILE, Shelf, ShelfError

DECLARED = Bucket.named("declared")
PI = Token("pi", Secret("s3cr3t"))


@pytest.fixture(autouse=True)
def _fast_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "COST", 4)


@pytest.fixture(name="folder", params=["memory", "disk"])
def _folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "state" if request.param == "disk" else None


@pytest.fixture(name="registry")
def _registry(folder: Path | None) -> Registry:
    return Registry([PI], [DECLARED], Shelf(folder))


def names(registry: Registry) -> list[str]:
    return [one.name for one in registry.catalog.buckets]


def test_a_bucket_is_made_changed_and_removed(registry: Registry) -> None:
    made = registry.create_bucket({"name": "new", "description": "d"})
    assert names(registry) == ["declared", "new"]
    assert [one.name for one in made.inputs] == ["Default public endpoint"]
    changed = registry.update_bucket("new", {"name": "newer", "id": "x", "inputs": [], "created_at": 1})
    assert (changed.name, changed.id, changed.inputs) == ("newer", made.id, made.inputs)
    registry.remove_bucket(made.id)
    assert names(registry) == ["declared"]


def test_inputs_and_outputs_are_put_and_removed(registry: Registry) -> None:
    registry.create_bucket({"name": "b"})
    output = registry.put_part("b", "outputs", None, {"name": "o", "destination": "http://h"})
    said = {"name": "i", "response_from_output": output["id"], "path_prefix": "/x"}
    entry = registry.put_part("b", "inputs", None, said)
    assert entry["response_from_output"] == output["id"]
    renamed = registry.put_part("b", "outputs", "o", {"name": "p"})
    assert (renamed["id"], renamed["destination"]) == (output["id"], "http://h")
    bucket = registry.catalog.bucket("b")
    assert bucket is not None
    assert bucket.inputs[1].response_from_output == "p"
    registry.remove_part("b", "outputs", "p")
    bucket = registry.catalog.bucket("b")
    assert bucket is not None
    assert (bucket.outputs, bucket.inputs[1].response_from_output) == ((), None)
    registry.remove_part("b", "inputs", entry["id"])
    assert registry.catalog.endpoint("", "/x") is None


def test_a_change_without_the_password_keeps_it(registry: Registry) -> None:
    registry.create_bucket({"name": "b", "auth": {"type": "basic", "username": "u", "password": "p"}})
    registry.update_bucket("b", {"auth": {"type": "basic", "username": "v"}})
    bucket = registry.catalog.bucket("b")
    assert bucket is not None
    assert bucket.auth is not None
    assert (bucket.auth.username, bucket.auth.secret.reveal()) == ("v", "p")
    assert registry.update_bucket("b", {"auth": {"type": "none"}}).auth is None


@pytest.mark.parametrize(("word", "status"), [("declared", 409), (DECLARED.id, 409), ("nobody", 404)])
def test_what_can_not_be_changed(registry: Registry, word: str, status: int) -> None:
    for change in (
        lambda: registry.update_bucket(word, {}),
        lambda: registry.remove_bucket(word),
        lambda: registry.put_part(word, "inputs", None, {}),
        lambda: registry.remove_part(word, "inputs", "x"),
    ):
        with pytest.raises(ResourceProblem) as refused:
            change()
        assert refused.value.status == status


def test_a_name_is_there_once(registry: Registry) -> None:
    registry.create_bucket({"name": "b"})
    for taken in ("b", "declared", DECLARED.id):
        with pytest.raises(ResourceProblem, match="already"):
            registry.create_bucket({"name": taken})
    with pytest.raises(BadResource, match="control character"):
        registry.create_bucket({"name": "a\nb"})


def test_a_token_is_made_changed_and_removed(registry: Registry) -> None:
    token, secret = registry.create_token({"description": "d", "scopes": {"buckets": ["b"]}})
    assert hashes.fits(secret, token.hash)
    assert not hashes.fits(secret + "x", token.hash)
    changed = registry.update_token(token.key, {"active": False, "hash": "mine", "id": "mine"})
    assert (changed.active, changed.hash, changed.description) == (False, token.hash, "d")
    registry.remove_token(token.key)
    assert registry.catalog.token(token.key) is None
    for key, status in (("pi", 409), (token.key, 404)):
        with pytest.raises(ResourceProblem) as refused:
            registry.remove_token(key)
        assert refused.value.status == status


def test_what_was_made_is_there_after_a_restart_and_no_secret_is(tmp_path: Path) -> None:
    registry = Registry([PI], [DECLARED], Shelf(tmp_path))
    token, secret = registry.create_token({})
    made = registry.create_bucket({"name": "b"})
    again = Registry([PI], [], Shelf(tmp_path))
    again.read()
    assert again.catalog.bucket("b") == made
    assert again.catalog.made_tokens[token.key].hash == token.hash
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert secret.encode() not in (tmp_path / FILE).read_bytes()


def test_an_import_keeps_ids_and_hashes(tmp_path: Path) -> None:
    first = Registry([], [], Shelf(tmp_path / "a"))
    token, _ = first.create_token({})
    bucket = first.create_bucket({"name": "b", "auth": {"type": "token", "token": "t"}})
    second = Registry([], [DECLARED], Shelf(tmp_path / "b"))
    for _ in range(2):
        second.import_token(token_document(token, secrets=True))
        second.import_bucket(bucket_document(bucket, secrets=True))
    found = second.catalog.bucket("b")
    assert found is not None
    assert (found.id, found.inputs, found.auth) == (bucket.id, bucket.inputs, bucket.auth)
    assert second.catalog.made_tokens[token.key].hash == token.hash
    with pytest.raises(ResourceProblem, match="declared"):
        second.import_bucket(bucket_document(DECLARED))
    with pytest.raises(BadResource, match="hash"):
        second.import_token(token_document(token))


def test_what_is_declared_later_takes_the_place(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    registry.create_bucket({"name": "b"})
    registry.declare([PI], [DECLARED, Bucket.named("b")])
    found = registry.catalog.bucket("b")
    assert found == Bucket.named("b")
    assert "takes the place" in caplog.text
    registry.declare([PI], [DECLARED])
    assert registry.catalog.bucket("b") not in (None, Bucket.named("b"))


def test_a_document_that_is_not_understood_hides_no_other(
    registry: Registry, folder: Path | None, caplog: pytest.LogCaptureFixture
) -> None:
    registry.create_bucket({"name": "b"})
    if folder is None:
        return
    with sqlite3.connect(folder / FILE) as database:
        database.execute("INSERT INTO resources VALUES ('bucket', 'odd', '{\"name\": 5}')")
    database.close()
    with caplog.at_level(logging.WARNING):
        registry.read()
    assert names(registry) == ["declared", "b"]
    assert "'odd' on the disk is left out" in caplog.text


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, not a database, not a database")
    with pytest.raises(ShelfError, match="can't be used"):
        Registry([], [], Shelf(tmp_path)).read()
