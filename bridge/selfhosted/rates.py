"""How often an input may be asked: a full bucket of permissions that refills evenly. No I/O, no clock."""

from collections import OrderedDict
from typing import Final

from bridge.selfhosted.resources import Rate

_MOST: Final = 10_000
"""Inputs that are remembered; one that is forgotten starts anew."""


class Rates:
    """The permissions that are left, by input."""

    def __init__(self) -> None:
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """The time at which all permissions are back."""

    def wait(self, input_id: str, rate: Rate, now: float) -> float:
        """Take one permission.

        Args:
            input_id: whose.
            rate: how many there are.
            now: monotonic time in seconds.

        Returns:
            Seconds until there is one; 0.0 where it was taken.
        """
        each = rate.seconds / rate.count
        free_at = max(self._free_at.get(input_id, now), now) + each
        if (late := free_at - now - rate.seconds) > 1e-9:
            return late
        if len(self._free_at) >= _MOST and input_id not in self._free_at:
            self._free_at.popitem(last=False)
        self._free_at[input_id] = free_at
        return 0.0
