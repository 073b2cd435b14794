"""The resources of a relay and their changes. What its file declares can't be changed by the interface."""

import logging
import secrets
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from bridge.errors import BridgeError, Fault
from bridge.selfhosted.catalog import Catalog
from bridge.selfhosted.documents import (
    Document,
    bucket_document,
    bucket_from,
    input_document,
    new_input,
    output_document,
    token_document,
    token_from,
)
from bridge.selfhosted.fields import BadResource
from bridge.selfhosted.hashes import hash_secret
from bridge.selfhosted.resources import Bucket, Token
from bridge.selfhosted.shelf import DocumentShelf

logger = logging.getLogger(__name__)

NOT_EPHEMERAL: Final = "ephemeral: NATS keeps every webhook on its disks"
MOST_BUCKETS: Final = 10_000
MOST_TOKENS: Final = 10_000
_READ_ONLY: Final = ("id", "bucket_id", "created_at", "updated_at")


class ResourceProblem(BridgeError):
    """A change of the relay's resources can't be made.

    Attributes:
        status: what HTTP calls it.
    """

    fault = Fault.CONFIGURATION

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class Registry:
    """Declared and made resources. Its methods may wait for the disk, and be called in a thread, by turns.

    Args:
        tokens: of the relay's file.
        buckets: likewise.
        shelf: where the made ones are kept.
        ephemeral: whether webhooks can be kept in memory only, if a bucket says so.
    """

    def __init__(
        self,
        tokens: Collection[Token],
        buckets: Collection[Bucket],
        shelf: DocumentShelf,
        *,
        ephemeral: bool = True,
    ) -> None:
        self._ephemeral = ephemeral
        self._shelf = shelf
        self._declared = tuple(tokens), tuple(buckets)
        self._shadowed: tuple[str, ...] = ()
        self.catalog = Catalog(*self._declared)
        """What is served now; never changed, but replaced."""

    def declare(self, tokens: Collection[Token], buckets: Collection[Bucket]) -> None:
        """The relay's file was read again."""
        self._declared = tuple(tokens), tuple(buckets)
        self.read()

    def read(self) -> None:
        """Take up what the shelf holds, whoever put it there.

        Raises:
            ShelfError: it can't be read; nothing has changed then.
        """
        tokens = _understood(token_from, self._shelf.read("token"))
        buckets = _understood(bucket_from, self._shelf.read("bucket"))
        self.catalog = Catalog(*self._declared, tokens, buckets)
        if self.catalog.shadowed != self._shadowed:
            self._shadowed = self.catalog.shadowed
            if self._shadowed:
                names = ", ".join(map(ascii, self._shadowed[:10]))
                logger.warning("what the file declares takes the place of parts of the buckets %s", names)

    # Tokens

    def create_token(self, said: Document) -> tuple[Token, str]:
        """A new token and its secret, which nobody can find out later."""
        if len(self.catalog.made_tokens) >= MOST_TOKENS:
            raise ResourceProblem(f"there are {MOST_TOKENS} tokens already")
        secret = secrets.token_urlsafe(32)
        document = {**said, "id": str(uuid4()), "hash": hash_secret(secret), "created_at": int(time.time())}
        return self._keep_token(document), secret

    def update_token(self, key: str, said: Document) -> Token:
        """Change a token's description, scopes or state."""
        kept = token_document(self._made_token(key), secrets=True)
        return self._keep_token({**kept, **_changes(said), "hash": kept["hash"]})

    def remove_token(self, key: str) -> None:
        """Shut somebody out."""
        self._shelf.remove("token", self._made_token(key).key)
        self.read()

    def _keep_token(self, document: Document) -> Token:
        token = token_from(document)
        self._shelf.put("token", token.key, token_document(token, secrets=True))
        self.read()
        return token

    def _made_token(self, key: str) -> Token:
        found = self.catalog.made_tokens.get(key)
        if found is None:
            if self.catalog.token(key) is not None:
                raise ResourceProblem("this token is declared in the relay's file")
            raise ResourceProblem("no such token", 404)
        return found

    # Buckets

    def create_bucket(self, said: Document) -> Bucket:
        """A new bucket. It has one input."""
        if len(self.catalog.buckets) >= MOST_BUCKETS:
            raise ResourceProblem(f"there are {MOST_BUCKETS} buckets already")
        bucket_id = str(uuid4())
        document = {
            "name": bucket_id,
            **_changes(said),
            "id": bucket_id,
            "created_at": int(time.time()),
            "inputs": [new_input(str(uuid4()))],
            "outputs": [],
        }
        return self._keep_bucket(document)

    def update_bucket(self, word: str, said: Document) -> Bucket:
        """Change a bucket's name, description or authentication."""
        kept = bucket_document(self._made_bucket(word), secrets=True)
        changes = {name: value for name, value in _changes(said).items() if name not in ("inputs", "outputs")}
        if isinstance(changes.get("auth"), dict):
            changes["auth"] = _with_known_secrets(kept["auth"], changes["auth"])
        return self._keep_bucket({**kept, **changes})

    def remove_bucket(self, word: str) -> None:
        """Remove a bucket with all that is in it."""
        self._shelf.remove("bucket", self._made_bucket(word).id)
        self.read()

    def import_bucket(self, document: Document) -> Bucket:
        """Add or replace a bucket with the IDs that it has elsewhere."""
        bucket = bucket_from(document)
        if (found := self.catalog.bucket(bucket.id)) is not None and self.catalog.is_declared(found):
            raise ResourceProblem(f"the bucket {bucket.name!a} is declared in the relay's file")
        return self._keep_bucket(document)

    def import_token(self, document: Document) -> Token:
        """Add or replace a token with the key and the hash that it has elsewhere."""
        if not token_from(document).hash:
            raise BadResource("hash: this can't be empty")
        return self._keep_token(document)

    # What is in a bucket

    def put_part(self, word: str, kind: str, part: str | None, said: Document) -> Document:
        """Add or change an input or output.

        Args:
            word: the bucket's name or ID.
            kind: `inputs` or `outputs`.
            part: name or ID of the one to change; None for a new one.
            said: what the client wants.
        """
        document = bucket_document(self._made_bucket(word), secrets=True)
        parts: list[Document] = document[kind]
        if part is None:
            part_id = str(uuid4())
            parts.append({"name": part_id, **_changes(said), "id": part_id})
        else:
            found = _part(parts, kind, part)
            part_id = found["id"]
            found |= _changes(said)
        bucket = self._keep_bucket(document)
        return next(one for one in _parts(bucket, kind) if one["id"] == part_id)

    def remove_part(self, word: str, kind: str, part: str) -> None:
        """Remove an input or output; who waited for the output's answer waits no more."""
        document = bucket_document(self._made_bucket(word), secrets=True)
        found = _part(document[kind], kind, part)
        document[kind].remove(found)
        for entry in document["inputs"]:
            if entry["response_from_output"] == found["id"]:
                entry["response_from_output"] = ""
        self._keep_bucket(document)

    def _keep_bucket(self, document: Document) -> Bucket:
        bucket = replace(bucket_from(document), updated=int(time.time()))
        if bucket.ephemeral and not self._ephemeral:
            raise ResourceProblem(NOT_EPHEMERAL, 400)
        if conflict := self.catalog.conflict(bucket):
            raise ResourceProblem(conflict)
        self._shelf.put("bucket", bucket.id, bucket_document(bucket, secrets=True))
        self.read()
        return bucket

    def _made_bucket(self, word: str) -> Bucket:
        found = self.catalog.bucket(word)
        if found is None:
            raise ResourceProblem("no such bucket", 404)
        if self.catalog.is_declared(found):
            raise ResourceProblem("this bucket is declared in the relay's file")
        return found


def _changes(said: Document) -> Document:
    """What a client may set: not what is read-only, nor what it says nothing of."""
    return {name: value for name, value in said.items() if name not in _READ_ONLY and value is not None}


def _with_known_secrets(kept: Document, said: Document) -> Document:
    """What a client read has no secrets in it, and may be sent back like that."""
    said = {name: value for name, value in said.items() if value not in (None, "")}
    return {**kept, **said} if said.get("type", kept["type"]) == kept["type"] else said


def _parts(bucket: Bucket, kind: str) -> list[Document]:
    if kind == "inputs":
        return [input_document(bucket, one) for one in bucket.inputs]
    return [output_document(bucket, one) for one in bucket.outputs]


def _part(parts: Collection[Document], kind: str, word: str) -> Document:
    for one in parts:
        if word in (one["id"], one["name"]):
            return one
    raise ResourceProblem(f"no such {kind.removesuffix('s')}", 404)


def _understood(read: Callable[[Any], Any], documents: dict[str, Any]) -> list[Any]:
    """Documents of the shelf; one that an older or newer relay wrote must not hide the others."""
    found = []
    for name, document in documents.items():
        try:
            found.append(read(document))
        except BadResource as error:
            logger.warning("%a on the disk is left out: %s", name, error)
    return found
