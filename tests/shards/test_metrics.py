"""Events reach Prometheus and OpenTelemetry under the names of the documentation."""

from __future__ import annotations

import threading

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from shardyfusion import MetricEvent, MetricsCollector
from shardyfusion.metrics import emit
from shardyfusion.metrics.otel import OtelCollector
from shardyfusion.metrics.prometheus import PrometheusCollector
from shardyfusion.testing import ListMetricsCollector

COUNTED = {
    MetricEvent.WRITE_STARTED: "writes_started", MetricEvent.WRITE_COMPLETED: "writes_completed",
    MetricEvent.SHARD_WRITE_COMPLETED: "shard_writes_completed", MetricEvent.BATCH_WRITTEN: "batches_written",
    MetricEvent.READER_GET: "reader_gets", MetricEvent.READER_MULTI_GET: "reader_multi_gets", MetricEvent.S3_RETRY: "s3_retries",
    MetricEvent.S3_RETRY_EXHAUSTED: "s3_retries_exhausted", MetricEvent.RATE_LIMITER_THROTTLED: "rate_limiter_throttled",
    MetricEvent.RATE_LIMITER_DENIED: "rate_limiter_denied",
}
TIMED = {
    MetricEvent.WRITE_COMPLETED: ("write_duration", {"elapsed_ms": 1500.0}, 1.5),
    MetricEvent.SHARD_WRITE_COMPLETED: ("shard_write_duration", {"duration_ms": 250}, 0.25),
    MetricEvent.READER_GET: ("reader_get_duration", {"duration_ms": 0.004, "found": True}, 4e-6),
    MetricEvent.READER_MULTI_GET: ("reader_multi_get_duration", {"duration_ms": 2.0, "num_keys": 5}, 0.002),
    MetricEvent.RATE_LIMITER_THROTTLED: ("rate_limiter_wait", {"wait_seconds": 0.5}, 0.5),
}


def test_prometheus_counts_every_event_of_the_table():
    registry = CollectorRegistry()
    collector = PrometheusCollector(registry)
    for event in MetricEvent:
        collector.emit(event, {})
    for event in TIMED:
        collector.emit(event, TIMED[event][1])
    for event, name in COUNTED.items():
        assert registry.get_sample_value(f"shardyfusion_{name}_total") == 1 + (event in TIMED), name
    for name, _, seconds in TIMED.values():
        assert registry.get_sample_value(f"shardyfusion_{name}_seconds_sum") == pytest.approx(seconds)
        assert registry.get_sample_value(f"shardyfusion_{name}_seconds_count") == 1
        assert registry.get_sample_value(f"shardyfusion_{name}_seconds_bucket", {"le": "0.005"}) is not None
    assert len([family for family in registry.collect()]) == len(COUNTED) + len(TIMED)


def test_a_prefix_keeps_two_collectors_apart():
    registry = CollectorRegistry()
    PrometheusCollector(registry, prefix="a_").emit(MetricEvent.READER_GET, {})
    PrometheusCollector(registry, prefix="b_")
    assert (registry.get_sample_value("a_reader_gets_total"), registry.get_sample_value("b_reader_gets_total")) == (1, 0)


def test_opentelemetry_counts_every_event_of_the_table():
    reader = InMemoryMetricReader()
    collector = OtelCollector(MeterProvider([reader]))
    for event in MetricEvent:
        collector.emit(event, TIMED[event][1] if event in TIMED else {})
    found = {metric.name: metric for resource in reader.get_metrics_data().resource_metrics
             for scope in resource.scope_metrics for metric in scope.metrics}
    assert set(found) == {f"shardyfusion.{name}" for name in [*COUNTED.values(), *(name for name, _, _ in TIMED.values())]}
    for name in COUNTED.values():
        assert found[f"shardyfusion.{name}"].data.data_points[0].value == 1
    for name, _, seconds in TIMED.values():
        metric = found[f"shardyfusion.{name}"]
        assert metric.unit == "s" and metric.data.data_points[0].sum == pytest.approx(seconds)


def test_a_collector_that_fails_ends_nothing(caplog):
    class Broken:
        def emit(self, event, payload):
            raise RuntimeError("no network")

    emit(Broken(), MetricEvent.READER_GET, found=True)
    emit(None, MetricEvent.READER_GET)
    assert [record.shardyfusion["metric"] for record in caplog.records] == ["reader.get"]


def test_the_list_remembers_events_of_all_threads():
    collector = ListMetricsCollector()
    assert isinstance(collector, MetricsCollector)
    threads = [threading.Thread(target=lambda: [emit(collector, MetricEvent.READER_GET, found=True) for _ in range(100)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert collector.named(MetricEvent.READER_GET) == [{"found": True}] * 400


def test_events_have_the_values_that_programs_know():
    assert len({event.value for event in MetricEvent}) == len(MetricEvent) == 28
    assert MetricEvent("write.shard.retry_exhausted") is MetricEvent.SHARD_WRITE_RETRY_EXHAUSTED
