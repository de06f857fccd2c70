"""Counters and histograms of OpenTelemetry."""

from __future__ import annotations

from typing import Any

from opentelemetry.metrics import MeterProvider, get_meter_provider

from . import MetricEvent
from ._instruments import COUNTERS, HISTOGRAMS, seconds_of


class OtelCollector:
    """Instruments of `meter_provider` (the process's own by default)."""

    def __init__(self, meter_provider: MeterProvider | None = None, meter_name: str = "shardyfusion") -> None:
        meter = (meter_provider or get_meter_provider()).get_meter(meter_name)
        self._counters = {event: meter.create_counter(f"shardyfusion.{name}", description=help)
                          for event, (name, help) in COUNTERS.items()}
        self._histograms = {event: meter.create_histogram(f"shardyfusion.{of.name}", unit="s", description=of.help)
                            for event, of in HISTOGRAMS.items()}

    def emit(self, event: MetricEvent, payload: dict[str, Any]) -> None:
        if counter := self._counters.get(event):
            counter.add(1)
        if (seconds := seconds_of(event, payload)) is not None:
            self._histograms[event].record(seconds)
