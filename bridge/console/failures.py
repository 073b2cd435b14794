"""How often an address may be wrong about the token."""

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

ALLOWED: Final = 10
"""Failures of one address within `WINDOW`."""
WINDOW: Final = 60.0
"""Seconds."""
MOST_ADDRESSES: Final = 256


class Failures:
    """Counts failures by address, for as many addresses as the table takes; the longest quiet go first."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._table: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """How often, and until when that counts."""

    def wait(self, address: str) -> float:
        """Seconds until an address may try again; 0.0: now."""
        count, until = self._table.get(_network(address), (0, 0.0))
        return max(0.0, until - self._monotonic()) if count >= ALLOWED else 0.0

    def note(self, address: str) -> None:
        """One more failure."""
        network, now = _network(address), self._monotonic()
        count, until = self._table.pop(network, (0, 0.0))
        self._table[network] = (count + 1, until) if until > now else (1, now + WINDOW)
        while len(self._table) > MOST_ADDRESSES:
            self._table.popitem(last=False)


def _network(address: str) -> str:
    """An IPv6 client has a whole /64 to itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return address
    return address if found.version == 4 else str(ipaddress.ip_network((found, 64), strict=False))
