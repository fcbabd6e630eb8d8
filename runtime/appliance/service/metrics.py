"""What Prometheus scrapes: gauges read when they are asked for, so that none goes stale."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from runtime.appliance.service.kept.records import Happening
from runtime.appliance.service.nights.status import Heartbeat

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
QUEUE_STATES = ("waiting", "running", "held", "done", "failed")


@dataclass(slots=True, eq=False)
class ServiceMetrics(Collector):
    """The figures of a service; `state` and `heartbeat` as status has them, `misses` the tiles'
    stages of the night in hand that were late.
    """

    state: Callable[[], dict[str, Any]]
    heartbeat: Callable[[], Heartbeat]
    misses: Callable[[], int]
    watchers: Callable[[], int]
    happened: Counter[str] = field(default_factory=Counter[str])

    def count(self, happening: Happening) -> None:
        """Count what happened, by its kind."""
        self.happened[happening.kind] += 1

    def page(self) -> bytes:
        """Return the page to be scraped."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        state, heart = self.state(), self.heartbeat()
        night = state["night"] or {}
        gauges = {
            "healthy": ("1 while no night that runs stands still", float(heart.ok)),
            "night_running": ("1 while a night's process works", float(heart.state in WORKING)),
            "night_journal_age_seconds": ("since the night's files grew last", heart.age_s),
            "night_tiles_planned": ("of the night in hand", night.get("tiles", 0)),
            "night_tiles_done": ("of the night in hand", night.get("done", 0)),
            "night_visits_done": ("of the night in hand", night.get("visits_done", 0)),
            "night_budget_misses": ("stages of tiles that were late", self.misses()),
            "disk_free_bytes": ("where runs are written", state["disk_free_bytes"]),
            "watchers": ("pages and terminals that watch", self.watchers()),
        }
        for name, (words, value) in gauges.items():
            yield GaugeMetricFamily(f"nightscope_{name}", words, value=value)
        plans = GaugeMetricFamily("nightscope_queue_plans", "plans by state", labels=["state"])
        counted = Counter(item["state"] for item in state["queue"])
        for one in QUEUE_STATES:
            plans.add_metric([one], counted[one])
        yield plans
        events = CounterMetricFamily(
            "nightscope_events", "what happened since the service started", labels=["kind"]
        )
        for kind, count in sorted(self.happened.items()):
            events.add_metric([kind], count)
        yield events


WORKING = ("starting", "scanning", "stopping", "stalled")
