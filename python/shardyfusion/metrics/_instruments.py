"""Which event counts where: the one table behind both collectors. Names are without prefix and unit."""

from __future__ import annotations

from typing import Any, NamedTuple

from . import MetricEvent

COUNTERS: dict[MetricEvent, tuple[str, str]] = {
    MetricEvent.WRITE_STARTED: ("writes_started", "Runs that began"),
    MetricEvent.WRITE_COMPLETED: ("writes_completed", "Runs that published a snapshot"),
    MetricEvent.SHARD_WRITE_COMPLETED: ("shard_writes_completed", "Shard databases written"),
    MetricEvent.BATCH_WRITTEN: ("batches_written", "Batches handed to shard databases"),
    MetricEvent.READER_GET: ("reader_gets", "Lookups of one key"),
    MetricEvent.READER_MULTI_GET: ("reader_multi_gets", "Lookups of several keys"),
    MetricEvent.S3_RETRY: ("s3_retries", "Requests to a bucket that were repeated"),
    MetricEvent.S3_RETRY_EXHAUSTED: ("s3_retries_exhausted", "Requests to a bucket that failed for good"),
    MetricEvent.RATE_LIMITER_THROTTLED: ("rate_limiter_throttled", "Times a rate limiter made its caller wait"),
    MetricEvent.RATE_LIMITER_DENIED: ("rate_limiter_denied", "Times a rate limiter refused"),
}


class Histogram(NamedTuple):
    name: str
    help: str
    field: str
    """Of the payload; events without it are not observed."""
    to_seconds: float


HISTOGRAMS: dict[MetricEvent, Histogram] = {
    MetricEvent.WRITE_COMPLETED: Histogram("write_duration", "Of a whole run", "elapsed_ms", 0.001),
    MetricEvent.SHARD_WRITE_COMPLETED: Histogram("shard_write_duration", "Of one shard database", "duration_ms", 0.001),
    MetricEvent.READER_GET: Histogram("reader_get_duration", "Of a lookup of one key", "duration_ms", 0.001),
    MetricEvent.READER_MULTI_GET: Histogram("reader_multi_get_duration", "Of a lookup of several keys", "duration_ms", 0.001),
    MetricEvent.RATE_LIMITER_THROTTLED: Histogram("rate_limiter_wait", "Waits for a rate limiter", "wait_seconds", 1.0),
}


def seconds_of(event: MetricEvent, payload: dict[str, Any]) -> float | None:
    """What `event` adds to its histogram; None if nothing."""
    histogram = HISTOGRAMS.get(event)
    if histogram is None or payload.get(histogram.field) is None:
        return None
    return float(payload[histogram.field]) * histogram.to_seconds
