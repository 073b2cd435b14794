"""When each outbox sends: in the loop's next turn, or when one of its lanes wakes."""

import asyncio
from collections.abc import Callable

from bridge.delivery.outbox import Outbox


class Pump:
    """Has outboxes send, until it is stopped.

    Args:
        sent: called with an outbox after each time that it was let to send.
    """

    def __init__(self, sent: Callable[[Outbox], None]) -> None:
        self._sent = sent
        self._loop = asyncio.get_running_loop()
        self._called: set[Outbox] = set()
        """Outboxes that send in the next turn."""
        self._wakes: dict[Outbox, asyncio.TimerHandle] = {}
        self._stopped = False

    def soon(self, outbox: Outbox) -> None:
        """In the loop's next turn: what comes in a burst goes out in one, which costs less."""
        if outbox not in self._called:
            self._called.add(outbox)
            self._loop.call_soon(self.now, outbox)

    def now(self, outbox: Outbox) -> None:
        """Have an outbox send what its target takes, and again when a lane that sleeps can go on."""
        self._called.discard(outbox)
        if self._stopped:
            return
        wakes = outbox.send(self._loop.time())
        self._sent(outbox)
        handle = self._wakes.get(outbox)
        if handle is not None and (wakes is None or handle.when() != wakes):
            handle.cancel()
            del self._wakes[outbox]
        if wakes is not None and outbox not in self._wakes:
            self._wakes[outbox] = self._loop.call_at(wakes, self._wake, outbox)

    def _wake(self, outbox: Outbox) -> None:
        self._wakes.pop(outbox, None)
        self.now(outbox)

    def stop(self) -> None:
        """Send nothing any more."""
        self._stopped = True
        for handle in self._wakes.values():
            handle.cancel()
