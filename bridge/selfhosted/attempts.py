"""Wrong credentials by address: whoever tries too many has to wait. No I/O, no clock.

An address that is waiting is told so whatever it shows, else it could go on guessing. Other addresses are not
concerned.
"""

from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from bridge.selfhosted.resources import Rate

MOST: Final = 10_000
"""Addresses that are remembered: those that failed last."""
_NETWORK: Final = 64
"""Bits of an IPv6 address that one customer has in common."""


class Attempts:
    """How many wrong attempts each address has left.

    Args:
        rate: so many may fail at once, and they come back evenly in its time.
    """

    def __init__(self, rate: Rate) -> None:
        self._each = rate.seconds / rate.count
        self._seconds = rate.seconds
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """The monotonic time at which all attempts of an address are back."""

    def wait(self, address: str, now: float) -> float:
        """Seconds until an address may try again; 0.0 where it may now.

        Args:
            address: of a client, with whatever else attempts are counted by in front of it and a space.
            now: monotonic time in seconds.
        """
        free_at = self._free_at.get(_household(address), now)
        return max(0.0, free_at + self._each - now - self._seconds)

    def failed(self, address: str, now: float) -> None:
        """An address showed wrong credentials."""
        place = _household(address)
        self._free_at[place] = max(self._free_at.get(place, now), now) + self._each
        self._free_at.move_to_end(place)
        if len(self._free_at) > MOST:
            self._free_at.popitem(last=False)


def _household(address: str) -> str:
    """What all addresses of one customer have in common: of IPv6, everybody has a whole network."""
    kind, space, host = address.rpartition(" ")
    try:
        parsed = ip_address(host)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        host = str(mapped) if mapped else f"{int(parsed) >> (128 - _NETWORK):x}::/{_NETWORK}"
    return f"{kind}{space}{host}"
