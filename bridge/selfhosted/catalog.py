"""What a relay serves at one moment: declared and made resources, the declared ones first. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bridge.selfhosted.resources import Bucket, Input, Token

PREFIX: Final = "/v1/webhooks/"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a public request's address leads to."""

    bucket: Bucket
    entry: Input
    path: str
    """What follows the input's own address, as it was sent; "/" where nothing does."""


class Catalog:
    """Tokens, buckets, and the ways to find them.

    Args:
        declared_tokens: of the relay's file.
        declared: buckets of the relay's file, which take nothing from each other.
        tokens: that the interface made.
        made: buckets that the interface made. What a declared one has taken, they lose.
    """

    def __init__(
        self,
        declared_tokens: Iterable[Token],
        declared: Iterable[Bucket],
        tokens: Iterable[Token] = (),
        made: Iterable[Bucket] = (),
    ) -> None:
        self.declared_tokens: Final = tuple(declared_tokens)
        keys = {one.key for one in self.declared_tokens}
        self.made_tokens: Final = {one.key: one for one in tokens if one.key not in keys}
        self._words: dict[str, Bucket] = {}
        self._inputs: dict[str, tuple[Bucket, Input]] = {}
        self._addresses: dict[str, dict[str, tuple[Bucket, Input]]] = {}
        shadowed: list[str] = []
        for bucket in declared:
            self._add(bucket)
        self._declared = {one.id for one in self._words.values()}
        for bucket in made:
            left = self._without_what_is_taken(bucket)
            if left is None or len(left.inputs) < len(bucket.inputs):
                shadowed.append(bucket.name)
            if left is not None:
                self._add(left)
        self.shadowed: Final = tuple(shadowed)
        """Names of made buckets that lost something to others."""
        self.buckets: Final = tuple({one.id: one for one in self._words.values()}.values())

    def token(self, key: str) -> Token | None:
        """A token by its key."""
        declared = (one for one in self.declared_tokens if one.key == key)
        return next(declared, None) or self.made_tokens.get(key)

    def bucket(self, word: str) -> Bucket | None:
        """A bucket by its name or ID."""
        return self._words.get(word)

    def is_declared(self, bucket: Bucket) -> bool:
        """Whether it is in the relay's file, and can't be changed by the interface."""
        return bucket.id in self._declared

    def visible(self, token: Token) -> list[Bucket]:
        """The buckets that a token may see."""
        return [one for one in self.buckets if token.may_see(one)]

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """The input that a public address leads to.

        Args:
            host: the request's host name, with or without a port.
            path: as it was sent.
        """
        if path.startswith(PREFIX):
            input_id, _, rest = path.removeprefix(PREFIX).partition("/")
            found = self._inputs.get(input_id)
            return found and Endpoint(*found, f"/{rest}")
        name = host.lower().partition(":")[0]
        return self._by_path(name, path) or self._by_path("", path)

    def conflict(self, bucket: Bucket) -> str:
        """Why a bucket can't be there beside the others; "" where it can. It may replace one with its ID."""
        if any(self._words[word].id != bucket.id for word in bucket.words() & self._words.keys()):
            return "a bucket has this name or ID already"
        for entry in bucket.inputs:
            if self._is_taken(entry, bucket.id):
                return f"input {entry.name!a}: another one has its ID or its address already"
        return ""

    def _by_path(self, host: str, path: str) -> Endpoint | None:
        """The longest of the own paths that a path begins with."""
        known = self._addresses.get(host, {})
        head = path
        while known:
            if head in known:
                return Endpoint(*known[head], path[len(head) :] or "/")
            if not head:
                break
            head = head.rpartition("/")[0]
        return None

    def _add(self, bucket: Bucket) -> None:
        for word in bucket.words():
            self._words[word] = bucket
        for entry in bucket.inputs:
            self._inputs[entry.id] = bucket, entry
            if entry.host or entry.path:
                self._addresses.setdefault(entry.host, {})[entry.path] = bucket, entry

    def _without_what_is_taken(self, bucket: Bucket) -> Bucket | None:
        if bucket.words() & self._words.keys():
            return None
        free = tuple(one for one in bucket.inputs if not self._is_taken(one, bucket.id))
        return replace(bucket, inputs=free)

    def _is_taken(self, entry: Input, bucket_id: str) -> bool:
        found = [self._inputs.get(entry.id)]
        if entry.host or entry.path:
            found.append(self._addresses.get(entry.host, {}).get(entry.path))
        return any(one is not None and one[0].id != bucket_id for one in found)
