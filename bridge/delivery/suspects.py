"""What may have killed the last process, and what is in flight in case it kills this one.

Deaths are counted against everything that was in flight. To find the guilty one among the innocent, of the
deliveries that were in flight at a death one at a time is sent; all others are sent as ever.
"""

import asyncio
from collections.abc import Iterable

from bridge.journal.flights import Flights

TURN = 0.01
"""Seconds after which a suspect asks again whether it may go."""
ALARM = 60.0
"""Seconds."""


class Suspects:
    """Notes what is in flight, and keeps suspects apart.

    Attributes:
        alarmed: the last process died while it sent. For a while, everything is stored before it is sent:
            what is in no journal can't be blamed for the next death.
    """

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        self._open: set[int] = set()
        self._flying: int | None = None
        self.alarmed = False

    def accuse(self, seqs: Iterable[int]) -> None:
        """The last process died, and these deliveries were in flight; there may have been others."""
        self._open.update(seqs)
        self.alarmed = True
        asyncio.get_running_loop().call_later(ALARM, self._calm)

    def _calm(self) -> None:
        self.alarmed = False

    def must_wait(self, seq: int) -> bool:
        """Whether a delivery is a suspect, and another one is in flight."""
        return self._flying is not None and seq in self._open

    def sent(self, seq: int) -> None:
        """A delivery is given to its target."""
        self._flights.begin(seq)
        if seq in self._open:
            self._flying = seq

    def landed(self, seq: int) -> None:
        """It has its result, and the process lives: it is no suspect."""
        self._flights.end(seq)
        if seq == self._flying:
            self._flying = None
            self._open.discard(seq)
