"""Counts that must add up: for each target `accepted = delivered + dead + pending + expired + evicted`."""

from dataclasses import asdict, dataclass, field


@dataclass(slots=True)
class TargetCounts:
    """What became of the deliveries to one target since this process started.

    `accepted` includes what was recovered from the journal at the start.
    """

    accepted: int = 0
    delivered: int = 0
    dead: int = 0
    expired: int = 0
    evicted: int = 0
    retries: int = 0
    """Attempts that failed and are repeated; not part of the sum."""

    @property
    def settled(self) -> int:
        """Deliveries of which nothing is owed any more."""
        return self.delivered + self.dead + self.expired + self.evicted

    def as_dict(self) -> dict[str, int]:
        """For status and metrics."""
        return asdict(self)


@dataclass(slots=True)
class RouteCounts:
    """What one route did since this process started."""

    matched: int = 0
    failed: int = 0
    """Webhooks for which its `when` could not be evaluated."""
    rejected: int = 0
    """Webhooks that its verifier refused."""
    rejection: str = ""
    """The last refusal: its code and reason."""
    duplicates: int = 0
    """Webhooks that matched, and of which everything was sent before."""
    limited: int = 0
    """Deliveries that had to wait for the route's rate, or are dead letters because of it."""
    delivered: int = 0
    dead: int = 0


@dataclass(slots=True)
class Counts:
    """Every count of the path."""

    webhooks: int = 0
    duplicates: int = 0
    """Webhooks that matched, and of which everything was sent before, by every route."""
    unmatched: int = 0
    rejected: int = 0
    """Webhooks that no route took and a verifier refused."""
    targets: dict[str, TargetCounts] = field(default_factory=dict)
    routes: dict[str, RouteCounts] = field(default_factory=dict)

    def target(self, name: str) -> TargetCounts:
        """The counts of a target, made when first asked for."""
        counts = self.targets.get(name)
        if counts is None:
            counts = self.targets[name] = TargetCounts()
        return counts

    def route(self, name: str) -> RouteCounts:
        """The counts of a route, made when first asked for."""
        counts = self.routes.get(name)
        if counts is None:
            counts = self.routes[name] = RouteCounts()
        return counts
