"""What tables count, and how Prometheus and OpenTelemetry see it."""

from __future__ import annotations

import gc
import sys

import pytest
from datashard import create_table
from datashard.metrics import OtelCollector, PrometheusCollector


def used_table(path) -> object:
    """Two files of ten rows, one of which a scan prunes."""
    table = create_table(str(path))
    table.append_records([{"id": i} for i in range(10)])
    table.append_records([{"id": i} for i in range(100, 110)])
    assert len(table.scan(filter={"id": (">=", 100)})) == 10
    return table


@pytest.mark.local_files
def test_commits_and_scans_are_counted(tmp_path):
    sums = used_table(tmp_path / "t").metrics()
    assert sums["datashard_commits_total"] == sums["datashard_commit_attempts_total"] - sums.get("datashard_commit_conflicts_total", 0)
    files = list((tmp_path / "t" / "data").glob("*.parquet"))
    assert sums["datashard_committed_bytes_total"] == sum(file.stat().st_size for file in files)
    assert (sums["datashard_scans_total"], sums["datashard_scan_files_total"], sums["datashard_scan_files_pruned_total"]) == (1, 1, 1)
    assert sums["datashard_scan_files_bytes_total"] in {file.stat().st_size for file in files}


def test_prometheus_shows_the_sums_of_every_table_that_lives(tmp_path):
    from prometheus_client import CollectorRegistry

    registry = CollectorRegistry()
    collector = PrometheusCollector(registry)
    table, other = used_table(tmp_path / "t"), used_table(tmp_path / "other")
    collector.add(table)
    collector.add(other)
    label = {"table": table.table_path}
    assert registry.get_sample_value("datashard_scan_files_pruned_total", label) == 1
    assert registry.get_sample_value("datashard_commits_total", {"table": other.table_path}) == other.metrics()["datashard_commits_total"]
    collector.remove(other)
    assert registry.get_sample_value("datashard_commits_total", {"table": other.table_path}) is None
    assert registry.get_sample_value("datashard_commits_total", label) >= 2
    del table
    gc.collect()
    assert registry.get_sample_value("datashard_commits_total", label) is None


def test_opentelemetry_observes_the_same_sums(tmp_path):
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    collector = OtelCollector(MeterProvider(metric_readers=[reader]))
    table = used_table(tmp_path / "t")
    collector.add(table)
    collector.refresh()
    [scope] = reader.get_metrics_data().resource_metrics[0].scope_metrics
    seen = {metric.name: metric.data.data_points[0] for metric in scope.metrics if metric.data.data_points}
    assert seen["datashard_scan_files_pruned_total"].value == 1
    assert seen["datashard_commits_total"].attributes == {"table": table.table_path}
    assert set(table.metrics()) <= set(seen), "refresh makes counters for all that was counted"


def test_importing_the_module_imports_neither_library():
    import subprocess

    code = "import sys, datashard.metrics; sys.exit('prometheus_client' in sys.modules or 'opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
