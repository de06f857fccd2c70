"""Counters and histograms of prometheus-client."""

from __future__ import annotations

from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from . import MetricEvent
from ._instruments import COUNTERS, HISTOGRAMS, seconds_of


class PrometheusCollector:
    """Registers its metrics with `registry` (the process's own by default); one collector for each pair of registry and prefix."""

    def __init__(self, registry: CollectorRegistry | None = None, prefix: str = "shardyfusion_") -> None:
        registry = REGISTRY if registry is None else registry
        self._counters = {event: Counter(f"{prefix}{name}_total", help, registry=registry) for event, (name, help) in COUNTERS.items()}
        self._histograms = {event: Histogram(f"{prefix}{of.name}_seconds", of.help, registry=registry)
                            for event, of in HISTOGRAMS.items()}

    def emit(self, event: MetricEvent, payload: dict[str, Any]) -> None:
        if counter := self._counters.get(event):
            counter.inc()
        if (seconds := seconds_of(event, payload)) is not None:
            self._histograms[event].observe(seconds)
