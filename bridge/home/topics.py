"""The topics below `relay-bridge/<node>`, each understood by a person who watches them. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics of one bridge."""

    base: str
    """Without wildcards and without a slash at its end."""

    @property
    def status(self) -> str:
        """`online` or `offline`, retained; the last will."""
        return f"{self.base}/status"

    @property
    def info(self) -> str:
        """What runs here: version, generation, routes. Retained."""
        return f"{self.base}/info"

    @property
    def health(self) -> str:
        """How it is: relay, brokers, services, queue, counters, problems. Retained."""
        return f"{self.base}/health"

    @property
    def retained(self) -> tuple[str, ...]:
        """Those that the broker keeps."""
        return self.status, self.info, self.health

    @property
    def dead(self) -> str:
        """Each new dead letter."""
        return f"{self.base}/dead"

    @property
    def alert(self) -> str:
        """The beginning and the end of each alarm."""
        return f"{self.base}/alert"

    def event(self, route: str) -> str:
        """Each webhook that a route takes."""
        return f"{self.base}/event/{route}"

    @property
    def requests(self) -> str:
        """The filter for commands."""
        return f"{self.base}/request/+"

    def command(self, topic: str) -> str | None:
        """The command that a request's topic names; None for another topic."""
        prefix, _, command = topic.rpartition("/")
        return command if prefix == f"{self.base}/request" else None

    def response(self, command: str) -> str:
        """The answer to a command."""
        return f"{self.base}/response/{command}"
