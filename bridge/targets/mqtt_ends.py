"""What the ends of connections say. A broker could give a reason; Mosquitto 2.0.11 gives none."""

from enum import Enum
from typing import Final

STRIKES: Final = 3
"""Ends in a row that make a suspicion."""
SHORT_SECONDS: Final = 60.0


class Suspect(Enum):
    """Who ends our connections."""

    NOBODY = "nobody"
    PUBLICATION = "publication"
    """The oldest one in flight: the broker takes it for malformed, and paho would send it for ever."""
    OTHER_CLIENT = "other client"
    """One with the same client ID: a connection of either ends the other's."""


class Ends:
    """Counts the ends of connections that were up."""

    def __init__(self) -> None:
        self._unanswered = 0
        self._short = 0

    def judge(self, lasted: float, *, waiting: bool, answered: bool) -> Suspect:
        """One more end.

        Args:
            lasted: seconds that the connection was up.
            waiting: whether publications are unacknowledged.
            answered: whether the connection brought any acknowledgement.
        """
        if waiting and not answered:
            self._unanswered = (self._unanswered + 1) % STRIKES
            return Suspect.NOBODY if self._unanswered else Suspect.PUBLICATION
        self._unanswered = 0
        self._short = self._short + 1 if lasted < SHORT_SECONDS else 0
        return Suspect.NOBODY if self._short < STRIKES else Suspect.OTHER_CLIENT
