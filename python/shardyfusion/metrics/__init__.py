"""Metric events: what happens while snapshots are written and read, for collectors of any kind.

`shardyfusion.metrics.prometheus` and `.otel` are two of them. Events and payloads: docs/sharded-observability.md.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Protocol, runtime_checkable

from ..logging import FailureSeverity, get_logger, log_failure

__all__ = ["MetricEvent", "MetricsCollector", "emit"]

_logger = get_logger("metrics")


class MetricEvent(str, Enum):
    WRITE_STARTED = "write.started"
    SHARDING_COMPLETED = "write.sharding_completed"
    SHARD_WRITE_STARTED = "write.shard.started"
    SHARD_WRITE_COMPLETED = "write.shard.completed"
    SHARD_WRITES_COMPLETED = "write.shards_completed"
    MANIFEST_PUBLISHED = "write.manifest_published"
    CURRENT_PUBLISHED = "write.current_published"
    WRITE_COMPLETED = "write.completed"
    BATCH_WRITTEN = "write.batch_written"
    SHARD_WRITE_RETRIED = "write.shard.retried"
    SHARD_WRITE_RETRY_EXHAUSTED = "write.shard.retry_exhausted"
    READER_INITIALIZED = "reader.initialized"
    READER_GET = "reader.get"
    READER_MULTI_GET = "reader.multi_get"
    READER_REFRESHED = "reader.refreshed"
    READER_CLOSED = "reader.closed"
    S3_RETRY = "s3.retry"
    S3_RETRY_EXHAUSTED = "s3.retry_exhausted"
    RATE_LIMITER_THROTTLED = "rate_limiter.throttled"
    RATE_LIMITER_DENIED = "rate_limiter.denied"
    VECTOR_WRITE_STARTED = "vector.write.started"
    VECTOR_SHARD_WRITE_COMPLETED = "vector.write.shard.completed"
    VECTOR_WRITE_COMPLETED = "vector.write.completed"
    VECTOR_READER_INITIALIZED = "vector.reader.initialized"
    VECTOR_SEARCH = "vector.reader.search"
    VECTOR_SHARD_SEARCH = "vector.reader.shard_search"
    VECTOR_READER_REFRESHED = "vector.reader.refreshed"
    VECTOR_READER_CLOSED = "vector.reader.closed"


@runtime_checkable
class MetricsCollector(Protocol):
    """Called from several threads; passes over events it does not know, as later releases add some."""

    def emit(self, event: MetricEvent, payload: dict[str, Any]) -> None: ...


def emit(collector: MetricsCollector | None, event: MetricEvent, **payload: Any) -> None:
    """Tells `collector`, if there is one. A collector that fails is logged: counting must not end a write or a lookup."""
    if collector is None:
        return
    try:
        collector.emit(event, payload)
    except Exception as error:  # noqa: BLE001
        log_failure("metrics_collector_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger, metric=event.value)
