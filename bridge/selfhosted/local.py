"""The engine of a relay that is one process: its memory, and a folder of its disk if it has one."""

import time
from collections.abc import Callable

import orjson

from bridge.selfhosted.answers import Answer, Answers
from bridge.selfhosted.api.ephemeral import PartlyEphemeral
from bridge.selfhosted.counters import Counters
from bridge.selfhosted.engine import Log, Publishing, Subscription
from bridge.selfhosted.group import GROUP
from bridge.selfhosted.history import Found, Frame, History, Outcome, Query
from bridge.selfhosted.hub import Hub
from bridge.selfhosted.outbound import Outbound
from bridge.selfhosted.publisher import Publisher
from bridge.selfhosted.registry import Registry
from bridge.selfhosted.resources import Settings, Token
from bridge.selfhosted.shelf import Shelf
from bridge.selfhosted.store import Store
from bridge.selfhosted.subscriber import Subscriber
from bridge.selfhosted.vault import vault_of
from bridge.selfhosted.wire import payload_of


class Recent:
    """The log of a relay without a disk: what its history holds."""

    def __init__(self, history: History) -> None:
        self._history = history

    @property
    def complete_since(self) -> float:
        """As `Log`."""
        return self._history.complete_since

    async def select(self, query: Query) -> Found:
        """As `Log`."""
        return self._history.select(query)

    async def find(self, log_id: str) -> Frame | None:
        """As `Log`."""
        return self._history.find(log_id)

    def outcome(self, frame: Frame) -> Outcome | None:
        """As `Log`."""
        return self._history.outcome(frame.origin.id)

    def note(self, log_id: str, outcome: Outcome) -> None:
        """As `Log`."""
        self._history.note(log_id, outcome)


class LocalEngine:
    """As `Engine`."""

    def __init__(self, settings: Settings, counters: Counters) -> None:
        self._vault = vault_of(settings.state_key)
        self.shelf = Shelf(settings.state, self._vault)
        self.answers = Answers(settings.limits, counters)
        self.limits = settings.limits
        self.hub = Hub(settings.limits, counters)
        self.log: Log = Recent(self.hub.history)
        self.publisher: Publishing
        self._state = settings.state
        self._counters = counters
        self._store: Store | None = None

    async def open(self, _changed: Callable[[], None]) -> None:
        """As `Engine`. Files are watched by who has their paths."""

    async def start(self, registry: Registry, outbound: Outbound) -> None:
        """As `Engine`.

        Raises:
            StoreError: the folder of the log can't be used.
        """
        if self._state is not None:
            self._store = await Store.open(self._state, self.limits, self._counters, self._vault)
            self.log = PartlyEphemeral(self._store, self.hub.history)
            await self._restore(self._store, registry, outbound)
        self.publisher = Publisher(self.hub, self._store, outbound)

    async def close(self) -> None:
        """As `Engine`."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def subscribe(self, wanted: Subscription) -> Subscriber:
        """As `Engine`."""
        return self.hub.subscribe(
            wanted.token,
            wanted.bucket_ids,
            wake=wanted.wake,
            cut=lambda: wanted.cut("too slow"),
            explicit=wanted.explicit,
            resume=wanted.resume,
            exact=wanted.exact,
            group=wanted.group,
        )

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """As `Engine`."""
        self.hub.unsubscribe(subscriber)

    def reached(self, bucket_id: str) -> int:
        """As `Engine`."""
        return self.hub.reached(bucket_id)

    def complete_since(self, *, ephemeral: bool) -> float:
        """As `Engine`. What is ephemeral is in memory only, whatever the disk still has of others."""
        return max(self.log.complete_since, self.hub.history.complete_since if ephemeral else 0.0)

    async def called(self, log_id: str, outcome: Outcome, answer: Answer | None) -> None:
        """As `Engine`."""
        self.log.note(log_id, outcome)
        if answer is not None:
            await self.answers.give(log_id, answer)

    async def _restore(self, store: Store, registry: Registry, outbound: Outbound) -> None:
        """Take up what the relay knew before it was restarted."""
        frames, readers, position = await store.recent(self.limits)
        known = [
            (Token(key), bucket_id, reached)
            for key, bucket_id, reached in readers
            if key.startswith(GROUP) or registry.catalog.token(key) is not None
        ]
        self.hub.restore(frames, known, position, time.time())
        store.start(self.hub.readers)
        for frame in frames:
            if not frame.internal and frame.outcome is None:
                meta = orjson.loads(payload_of(frame.wire))["meta"]
                outbound.offer(frame, meta["output_name"])
