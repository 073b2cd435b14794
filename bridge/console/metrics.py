"""Metrics in Prometheus' format, made of the daemon's state whenever somebody asks.

Names and units follow https://prometheus.io/docs/practices/naming/; docs/metrics.md lists them all.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from bridge.console.latency import BOUNDS
from bridge.console.queues import oldest
from bridge.console.watched import Watched
from bridge.status import snapshot

MOST_LABELS: Final = 200
"""Routes or targets with samples of their own; what is beyond is summed up as `other`."""
OTHER: Final = "other"
RELAY_STATES: Final = ("connecting", "subscribed", "unauthorized", "down", "held", "closed")
SEVERITIES: Final = ("error", "warning")

Samples = Mapping[str, float]

WEBHOOKS: Final = {
    "webhooks": ("webhooks", "Webhooks that came from the relay."),
    "duplicates": ("webhooks_duplicate", "Webhooks of which everything was sent before."),
    "unmatched": ("webhooks_unmatched", "Webhooks that no route took."),
    "rejected": ("webhooks_rejected", "Webhooks that no route took and a verifier refused."),
}
DELIVERIES: Final = {
    "accepted": ("deliveries_accepted", "Deliveries that a target is or was owed."),
    "delivered": ("deliveries_delivered", "Deliveries that the target took."),
    "dead": ("deliveries_dead", "Deliveries that became dead letters."),
    "expired": ("deliveries_expired", "Deliveries whose time was over."),
    "evicted": ("deliveries_evicted", "Deliveries that gave way in a full journal."),
    "retries": ("delivery_retries", "Attempts that failed and are repeated."),
}
ROUTES: Final = {
    "matched": ("route_webhooks_matched", "Webhooks that a route took."),
    "failed": ("route_webhooks_failed", "Webhooks for which the route's `when` could not be evaluated."),
    "rejected": ("route_webhooks_rejected", "Webhooks that the route's verifier refused."),
    "duplicates": ("route_webhooks_duplicate", "Webhooks of which the route sent everything before."),
    "delivered": ("route_deliveries_delivered", "Deliveries of a route that a target took."),
    "dead": ("route_deliveries_dead", "Deliveries of a route that became dead letters."),
}
JOURNAL_GAUGES: Final = {
    "bytes": ("journal_size_bytes", "What the journal holds."),
    "max_bytes": ("journal_limit_bytes", "What the journal may hold."),
    "dead": ("journal_dead_letters", "Dead letters that are kept."),
    "dead_bytes": ("journal_dead_letters_bytes", "What dead letters hold of the journal."),
    "unsaved": ("journal_unsaved_deliveries", "Deliveries that a power cut would take now."),
}
JOURNAL_COUNTERS: Final = {
    "commits": ("journal_commits", "Transactions that were written."),
    "corrupt": ("journal_corrupt_rows", "Rows whose checksum was wrong."),
    "evicted_dead": ("journal_dead_letters_dropped", "Dead letters that were too old or too many."),
}


CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4


def exposition(daemon: Watched) -> bytes:
    """All metrics in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Metrics(daemon))
    return generate_latest(registry)


class Metrics(Collector):
    """The daemon's state as metrics."""

    def __init__(self, daemon: Watched) -> None:
        self._daemon = daemon

    def collect(self) -> Iterator[Metric]:
        """Every metric, with each of its samples."""
        status: dict[str, Any] = snapshot(self._daemon)
        yield _one(
            GaugeMetricFamily, "build_info", "The version that runs.", "version", {status["version"]: 1}
        )
        yield _gauge("start_time_seconds", "Unix time at which the process started.", status["started_at"])
        yield from _relay(status["relay"])
        for key, (name, text) in WEBHOOKS.items():
            yield CounterMetricFamily(_full(name), text, value=status["counters"][key])
        yield from self._targets(status["targets"])
        yield from self._routes()
        yield self._latency()
        yield from _journal(status["journal"])
        yield from _configuration(status["configuration"])
        synchronised = self._daemon.clock_sync.clock().synchronised
        yield _gauge("clock_synchronized", "Whether this machine knows the time.", synchronised)

    def _targets(self, targets: Mapping[str, Mapping[str, Any]]) -> Iterator[Metric]:
        up = {name: target["state"] == "up" for name, target in targets.items()}
        # A sum over what is up would say nothing: only those with a label of their own are shown.
        labelled = dict(list(up.items())[:MOST_LABELS])
        yield _one(GaugeMetricFamily, "target_up", "Whether the target can be reached.", "target", labelled)
        for key, (name, text) in DELIVERIES.items():
            samples = _bounded({target: counts[key] for target, counts in targets.items()})
            yield _one(CounterMetricFamily, name, text, "target", samples)
        pending = _bounded({name: target["pending"] for name, target in targets.items()})
        yield _one(GaugeMetricFamily, "deliveries_pending", "Deliveries that wait.", "target", pending)
        ages = oldest(self._daemon)
        text = "Time since the arrival of the oldest webhook that the target is owed."
        shown = {name: ages.get(name, 0.0) for name in labelled}
        yield _one(GaugeMetricFamily, "deliveries_pending_age_seconds", text, "target", shown)

    def _routes(self) -> Iterator[Metric]:
        counts = self._daemon.counts.routes
        current = [route.name for route in self._daemon.config.table.routes]
        # The routes of today come first, so that those of years ago are the ones that are summed up.
        names = list(dict.fromkeys([*current, *counts]))
        for key, (name, text) in ROUTES.items():
            samples = {route: getattr(counts[route], key) if route in counts else 0 for route in names}
            yield _one(CounterMetricFamily, name, text, "route", _bounded(samples))
        active = self._daemon.silences.active
        silent = {route: route in active for route in list(self._daemon.config.silences)[:MOST_LABELS]}
        text = "Whether a route has waited for a webhook for longer than it expects to."
        yield _one(GaugeMetricFamily, "route_silent", text, "route", silent)

    def _latency(self) -> Metric:
        latencies = self._daemon.latencies
        bounds = [*map(str, BOUNDS), "+Inf"]
        return HistogramMetricFamily(
            _full("delivery_latency_seconds"),
            "Time from a webhook's arrival until a target took its delivery.",
            buckets=list(zip(bounds, map(float, latencies.cumulative()), strict=True)),
            sum_value=latencies.sum,
        )


def _relay(relay: Mapping[str, Any]) -> Iterator[Metric]:
    states = {state: state == relay["state"] for state in RELAY_STATES}
    yield _one(
        GaugeMetricFamily,
        "relay_state",
        "State of the subscription: 1 for the one that holds.",
        "state",
        states,
    )
    bad = _bounded(relay.get("bad_frames", {}))
    yield _one(CounterMetricFamily, "relay_bad_frames", "Frames that could not be used.", "code", bad)


def _journal(journal: Mapping[str, Any]) -> Iterator[Metric]:
    for key, (name, text) in JOURNAL_GAUGES.items():
        yield _gauge(name, text, journal[key])
    for key, (name, text) in JOURNAL_COUNTERS.items():
        yield CounterMetricFamily(_full(name), text, value=journal[key])
    yield _gauge("journal_full", "Whether nothing more fits into the journal.", bool(journal["full"]))


def _configuration(configuration: Mapping[str, Any]) -> Iterator[Metric]:
    problems = [problem["severity"] for problem in configuration["problems"]]
    accepted = configuration["outcome"] != "rejected"
    yield _gauge("config_generation", "Generation of the configuration in use.", configuration["generation"])
    yield _gauge("config_last_reload_successful", "Whether the routing file is the one in use.", accepted)
    yield _gauge(
        "config_last_reload_timestamp_seconds",
        "Unix time at which the routing file was read last.",
        configuration["at"],
    )
    counts = {severity: problems.count(severity) for severity in SEVERITIES}
    yield _one(GaugeMetricFamily, "config_problems", "Problems of the routing file.", "severity", counts)


def _full(name: str) -> str:
    return f"relay_bridge_{name}"


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_full(name), text, value=float(value))


def _one(
    family: type[GaugeMetricFamily] | type[CounterMetricFamily],
    name: str,
    text: str,
    label: str,
    samples: Samples,
) -> Metric:
    """A metric with one label."""
    metric = family(_full(name), text, labels=[label])
    for value, sample in samples.items():
        metric.add_metric([value], float(sample))
    return metric


def _bounded(samples: Samples) -> Samples:
    """The first of the samples, and the sum of the others."""
    items = list(samples.items())
    rest: Iterable[float] = [sample for _, sample in items[MOST_LABELS:]]
    return dict(items[:MOST_LABELS]) | ({OTHER: sum(rest)} if rest else {})
