"""What tables count, shown to Prometheus and OpenTelemetry: read when asked for, so nothing is added to an append or a scan.

The names are those of `Table.metrics()` (docs/observability.md), with a label or attribute `table`, the path of the table.
Importing this module imports neither library; constructing a collector does.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .iceberg import Table


class _Tables:
    """Tables whose sums are shown as long as somebody else holds on to them. Callable from several threads."""

    def __init__(self) -> None:
        self._tables: weakref.WeakSet[Table] = weakref.WeakSet()

    def add(self, table: Table) -> None:
        """Shows `table` from now on."""
        self._tables.add(table)

    def remove(self, table: Table) -> None:
        """Shows it no longer; it need not have been added."""
        self._tables.discard(table)

    def _sums(self) -> dict[str, dict[str, float]]:
        """Name → table → sum."""
        sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for table in list(self._tables):
            for name, value in table.metrics().items():
                sums[name][table.table_path] += value
        return sums


class PrometheusCollector(_Tables):
    """Counters of a prometheus_client registry, one for each name, labelled by table.

    registry: where it registers itself; None: the default registry. ImportError without prometheus_client.
    """

    def __init__(self, registry: Any = None) -> None:
        from prometheus_client import REGISTRY

        super().__init__()
        (registry if registry is not None else REGISTRY).register(self)

    def describe(self) -> Iterable[Any]:
        """No names are known beforehand: what has not happened has no counter."""
        return ()

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily

        for name, tables in sorted(self._sums().items()):
            family = CounterMetricFamily(name, "See docs/observability.md.", labels=("table",))
            for table, value in sorted(tables.items()):
                family.add_metric((table,), value)
            yield family


class OtelCollector(_Tables):
    """Observable counters of an OpenTelemetry meter, one for each name, with the attribute `table`.

    meter_provider: None: the global one. The counters of commits, groups and scans are there from the start; `refresh` makes those of
    everything else that has been counted since. ImportError without opentelemetry.
    """

    def __init__(self, meter_provider: Any = None, meter_name: str = "datashard") -> None:
        from opentelemetry import metrics

        super().__init__()
        self._meter = (meter_provider or metrics.get_meter_provider()).get_meter(meter_name)
        self._known: set[str] = set()
        for name in _NAMES:
            self._create(name)

    def refresh(self) -> None:
        """Makes counters for names that have come up since."""
        for name in self._sums():
            self._create(name)

    def _create(self, name: str) -> None:
        if name in self._known:
            return
        self._known.add(name)
        unit = "s" if name.endswith("_seconds") else "By" if "_bytes" in name else "1"
        self._meter.create_observable_counter(name, callbacks=[lambda _options, name=name: self._observe(name)], unit=unit)

    def _observe(self, name: str) -> list[Any]:
        from opentelemetry.metrics import Observation

        return [Observation(value, {"table": table}) for table, value in sorted(self._sums().get(name, {}).items())]


# Counters that every OpenTelemetry meter has from the start: what users ask for first.
_NAMES = (
    "datashard_commits_total", "datashard_commit_attempts_total", "datashard_commit_conflicts_total", "datashard_committed_bytes_total",
    "datashard_groups_total", "datashard_group_appends_total", "datashard_ring_wait_seconds", "datashard_commit_base_seconds",
    "datashard_commit_plan_seconds", "datashard_commit_write_seconds", "datashard_commit_sync_seconds", "datashard_commit_publish_seconds",
    "datashard_scans_total", "datashard_scan_files_total", "datashard_scan_files_pruned_total", "datashard_scan_files_bytes_total",
)
