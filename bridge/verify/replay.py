"""Which deliveries were accepted before, so that a copy of one is known for what it is.

A replay is a delivery whose sender's ID was already *accepted* under the same verifier, bucket and output:

- It is remembered when its webhook was accepted, not when it was verified. What was never delivered or
  journaled (a relay that was full, a route that did not match) can be delivered again by its sender.
- All routes judge a webhook before it is remembered, so visiting several routes is no replay.
- One request becomes a frame per internal output of its bucket; the output is part of the key, so those
  are no replays either. The input is not: a copy sent to another input of the bucket is still a copy.
- A frame that the relay sends again is no replay: it has the log ID of the one that was accepted.

There is no age at which an ID is forgotten, only a number of IDs. A copy that is found by gap filling is
judged by the time at which the relay received it, however long ago, so no age would be long enough.
A restart forgets: until then the age window and the relay's own log IDs are what holds a copy off.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from bridge.webhook import Webhook

MOST_REMEMBERED: Final = 10_000
"""About 2 MB. Only accepted deliveries take a place, so no stranger can push the others out."""


class ReplayCache:
    """The sender's IDs that were accepted last."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._accepted: OrderedDict[bytes, bytes] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accepted)

    def seen(self, verifier: str, webhook: Webhook, sender_id: str) -> bool:
        """Whether another delivery with this ID was accepted before."""
        accepted = self._accepted.get(_key(verifier, webhook, sender_id))
        return accepted is not None and (not webhook.id or accepted != _digest(webhook.identity))

    def remember(self, verifier: str, webhook: Webhook, sender_id: str) -> None:
        """Note that it was accepted; the oldest gives way."""
        self._accepted[_key(verifier, webhook, sender_id)] = _digest(webhook.identity)
        if len(self._accepted) > self._most:
            self._accepted.popitem(last=False)


def _key(verifier: str, webhook: Webhook, sender_id: str) -> bytes:
    return _digest((verifier, webhook.bucket_id or webhook.bucket, webhook.output, sender_id))


def _digest(names: tuple[str, ...] | None) -> bytes:
    # A digest, because an ID can be as long as a stranger likes; of the repr, because that has clear borders.
    return blake2b(repr(names).encode("utf-8", "surrogatepass"), digest_size=16).digest()
