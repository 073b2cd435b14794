"""How many publications may be unacknowledged at once."""

_WITHOUT_RECEIVE_MAXIMUM = 20
"""MQTT 3.1.1 has no word for it, and Mosquitto drops what is beyond 20 at QoS 2 in silence."""


class Window:
    """The setting, within what the broker takes; halved where it is busy, and grown again slowly."""

    def __init__(self, most: int, *, version5: bool) -> None:
        self._most = most if version5 else min(most, _WITHOUT_RECEIVE_MAXIMUM)
        self._limit = self._most
        self._size = float(self._most)

    @property
    def size(self) -> int:
        """Publications that may be in flight."""
        return int(self._size)

    def connected(self, receive_maximum: int) -> None:
        """A new connection and its CONNACK's Receive Maximum."""
        self._limit = min(self._most, receive_maximum)
        self._size = min(self._size, float(self._limit))

    def busy(self) -> None:
        """The broker could not take all of it (0x89, 0x97)."""
        self._size = max(1.0, self._size / 2)

    def acknowledged(self, count: int) -> None:
        """So many were taken: one more fits for each window full."""
        if self._size < self._limit:
            self._size = min(float(self._limit), self._size + count / self._size)
