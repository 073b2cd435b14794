"""What was sent and what arrived."""

from array import array

from tests.bench.webhooks import read_mark


class Tally:
    """Counts webhooks by their numbers, so that a lost one and a repeated one never cancel out."""

    def __init__(self) -> None:
        self._first = 0
        self._arrivals = bytearray()
        self.sent = 0
        self.seen = 0
        """Different webhooks that arrived."""
        self.repeated = 0
        self.last_arrival = 0
        """Monotonic nanoseconds."""
        self.latencies = array("q")
        """Nanoseconds from sent to seen, of each webhook's first arrival."""

    @property
    def outstanding(self) -> int:
        """Webhooks sent and not seen yet."""
        return self.sent - self.seen

    def send(self, count: int) -> int:
        """Take note of the next `count` webhooks; the number of the first."""
        first = self._first + self.sent
        self.sent += count
        self._arrivals.extend(bytes(count))
        return first

    def arrived(self, payload: bytes, now: int, start: int = 0) -> None:
        """Take note of a delivered body; `now` in monotonic nanoseconds."""
        number, stamp = read_mark(payload, start)
        place = number - self._first
        if place < 0:
            return  # sent before `restart`
        self.last_arrival = now
        if self._arrivals[place]:
            self.repeated += 1
        else:
            self._arrivals[place] = 1
            self.seen += 1
            self.latencies.append(now - stamp)

    def restart(self) -> None:
        """Count from here on; what was sent before is not looked at, should it still come."""
        self._first += self.sent
        self._arrivals.clear()
        self.sent = self.seen = self.repeated = 0
        self.latencies = array("q")
