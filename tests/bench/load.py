"""The load: one thread that sends webhooks as the relay and counts them where they arrive."""

import selectors
import time
from collections.abc import Callable
from typing import Final

from tests.bench import webhooks
from tests.bench.http_sink import HttpSink
from tests.bench.relay import Relay
from tests.bench.subscriber import Subscriber
from tests.bench.tally import Tally

BATCH: Final = 32
"""Webhooks written at once where there is no pace to keep."""
ROOM: Final = 1 << 16
"""Bytes that may wait for the kernel; more than that is back-pressure, and nothing is sent."""
STALL: Final = 5.0
"""Seconds without an arrival after which what is outstanding no longer counts against the cap."""

Batch = Callable[[int, int, int], bytes]
"""WebSocket messages by the first one's number, their count, and the time in monotonic nanoseconds."""


class Load:
    """Relay, counting subscriber and counting HTTP server on one thread, driven by the measure.

    Args:
        broker_port: where the counter subscribes.
        keep: whether the broker will be restarted.
        batch: makes the webhooks.
    """

    def __init__(self, broker_port: int, *, keep: bool = False, batch: Batch = webhooks.batch) -> None:
        self._batch = batch
        self._selector = selectors.SelectSelector()  # the only one that waits for less than a millisecond
        self.tally = Tally()
        self.relay = Relay(self._selector)
        self.sink = HttpSink(self._selector, self.tally)
        self.subscriber = Subscriber(self._selector, self.tally, broker_port, keep=keep)

    def close(self) -> None:
        """Close every socket."""
        self.relay.close()
        self.sink.close()
        self.subscriber.close()
        self._selector.close()

    def turn(self, patience: float) -> None:
        """Serve what is ready, after at most `patience` seconds."""
        for key, events in self._selector.select(patience):
            key.data(events)

    def wait(self, condition: Callable[[], bool], limit: float) -> bool:
        """Serve until a condition holds; False where it doesn't within `limit` seconds."""
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                return False
            self.turn(0.01)
        return True

    def rest(self, seconds: float) -> None:
        """Serve for so long, and send nothing."""
        self.wait(lambda: False, seconds)

    def saturate(self, seconds: float, cap: int) -> None:
        """Send as fast as they are taken, with at most `cap` outstanding."""
        deadline = time.monotonic() + seconds
        moved, seen = time.monotonic(), self.tally.seen
        written_off = 0
        while (now := time.monotonic()) < deadline:
            if self.tally.seen != seen:
                moved, seen = now, self.tally.seen
            elif now - moved > STALL:
                moved, written_off = now, self.tally.outstanding
            room = cap - max(0, self.tally.outstanding - written_off)
            sent = self.has_room and room > 0
            if sent:
                self.send(min(room, BATCH))
            self.turn(0 if sent else 0.01)

    def pace(self, rate: float, seconds: float) -> None:
        """Send `rate` webhooks a second, evenly."""
        start = time.monotonic()
        sent, total = 0, round(rate * seconds)
        while sent < total:
            due = min(total, int((time.monotonic() - start) * rate) + 1)
            if due > sent:
                self.send(due - sent)
                sent = due
            self.turn(max(0.0, start + sent / rate - time.monotonic()))

    def burst(self, count: int, limit: float) -> None:
        """Send `count` as fast as they are taken, whatever arrives; gives up after `limit` seconds."""
        last = self.tally.sent + count
        deadline = time.monotonic() + limit
        while self.tally.sent < last and time.monotonic() < deadline:
            room = self.has_room
            if room:
                self.send(min(last - self.tally.sent, BATCH))
            self.turn(0 if room else 0.01)

    def drain(self, limit: float) -> None:
        """Serve until all arrived or nothing more comes within `limit` seconds, and a moment for repeats."""
        while self.tally.outstanding and self._progress(limit):
            pass
        self.rest(0.5)

    def _progress(self, limit: float) -> bool:
        seen = self.tally.seen
        return self.wait(lambda: self.tally.seen > seen, limit)

    @property
    def has_room(self) -> bool:
        """Somebody is subscribed and takes what is sent."""
        subscriber = self.relay.subscriber
        return subscriber is not None and subscriber.pending < ROOM

    def send(self, count: int) -> None:
        """Send the next webhooks; where nobody is subscribed they are lost, as they would be at a relay."""
        first = self.tally.send(count)
        if self.relay.subscriber is not None:
            self.relay.subscriber.write(self._batch(first, count, time.monotonic_ns()))
