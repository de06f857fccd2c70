"""What the core calls where a part is code of the user's: conversions between its plain values and the protocols of this package."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._moments import datetime_of, micros_of
from .async_manifest_store import AsyncManifestStore
from .errors import PublishCurrentError, ShardyfusionError
from .logging import FailureSeverity, get_logger, log_event, log_failure
from .manifest import ManifestRef, SqliteManifestBuilder
from .manifest_store import ManifestStore, parse_manifest_payload
from .metrics import MetricEvent, MetricsCollector, emit
from .run_registry import RunRecord, RunRegistry
from .type_defs import DbAdapter, DbAdapterFactory

_logger = get_logger("writer")

POINTER_DELAYS_S = (1.0, 2.0, 4.0)
"""Waits between tries to move a pointer; the manifest is stored already."""


def _plain(ref: ManifestRef) -> tuple[str, str, int]:
    return ref.ref, ref.run_id, micros_of(ref.published_at)


class ManifestBridge:
    """A ManifestStore. Its `publish` stores and moves the pointer in one; the core does so in two calls."""

    def __init__(self, store: ManifestStore) -> None:
        self._store = store
        self._made_current: str | None = None

    def store(self, payload: bytes) -> str:
        manifest = parse_manifest_payload(payload)
        try:
            ref = self._store.publish(run_id=manifest.required_build.run_id, required_build=manifest.required_build,
                                      shards=manifest.shards, custom=manifest.custom)
        except PublishCurrentError as error:
            if error.manifest_ref is None:
                raise
            return error.manifest_ref  # set_current is next, and is tried again
        self._made_current = ref
        return ref

    def set_current(self, ref: str) -> None:
        if ref == self._made_current:
            self._made_current = None
            return
        for delay_s in (*POINTER_DELAYS_S, None):
            try:
                return self._store.set_current(ref)
            except ShardyfusionError as error:
                if not error.retryable or delay_s is None:
                    raise
                log_failure("publish_current_retry", severity=FailureSeverity.TRANSIENT, error=error, logger=_logger, manifest_ref=ref)
                time.sleep(delay_s)

    def load_current(self) -> tuple[str, str, int] | None:
        ref = self._store.load_current()
        return None if ref is None else _plain(ref)

    def load_manifest(self, ref: str) -> bytes:
        manifest = self._store.load_manifest(ref)
        return SqliteManifestBuilder().build(required_build=manifest.required_build, shards=manifest.shards,
                                             custom_fields=manifest.custom).payload

    def list_manifests(self, limit: int) -> list[tuple[str, str, int]]:
        return [_plain(ref) for ref in self._store.list_manifests(limit=limit)]


class StoreOfLoop:
    """An AsyncManifestStore for threads beside its event loop. `loop` is that of whoever asks: a reader may outlive the one it was opened in."""

    def __init__(self, store: AsyncManifestStore, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self.loop = loop

    def _wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self.loop).result()

    def load_current(self) -> ManifestRef | None:
        return self._wait(self._store.load_current())  # type: ignore[no-any-return]

    def load_manifest(self, ref: str) -> Any:
        return self._wait(self._store.load_manifest(ref))

    def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        return self._wait(self._store.list_manifests(limit=limit))  # type: ignore[no-any-return]


@contextmanager
def _told(event: str, run_id: str) -> Iterator[None]:
    """Failures of a registry end no write; the log has them."""
    try:
        yield
    except Exception as error:
        log_failure(event, severity=FailureSeverity.ERROR, error=error, logger=_logger, run_id=run_id)
        raise


class RegistryBridge:
    """A RunRegistry."""

    _TIMES = ("started_at", "updated_at", "lease_expires_at")

    def __init__(self, registry: RunRegistry) -> None:
        self._registry = registry

    def _record(self, fields: dict[str, Any]) -> RunRecord:
        return RunRecord(**{**fields, **{name: datetime_of(fields[name]) for name in self._TIMES}})

    def create(self, fields: dict[str, Any]) -> str:
        with _told("run_record_create_failed", fields["run_id"]):
            return self._registry.create(self._record(fields))

    def update(self, ref: str, fields: dict[str, Any]) -> None:
        with _told("run_record_update_failed", fields["run_id"]):
            self._registry.update(ref, self._record(fields))

    def load(self, ref: str) -> dict[str, Any]:
        record = self._registry.load(ref)
        fields = {name: getattr(record, name) for name in type(record).model_fields}
        return {**fields, "status": record.status.value, **{name: micros_of(fields[name]) for name in self._TIMES}}


class _ShardFailed(Exception):
    """Tells an adapter's context that its shard is given up."""


class AdapterBridge:
    """A DbAdapter inside of its context."""

    def __init__(self, adapter: DbAdapter) -> None:
        self._context = adapter
        entered = adapter.__enter__()
        self.write_batch = entered.write_batch
        self.flush = entered.flush
        self.seal = entered.seal
        self._db_bytes = entered.db_bytes

    def db_bytes(self) -> int:
        return int(self._db_bytes())

    def close(self, sealed: bool) -> None:
        if sealed:
            self._context.__exit__(None, None, None)
        else:
            self._context.__exit__(_ShardFailed, _ShardFailed("the shard was not finished"), None)


def adapter_opener(factory: DbAdapterFactory) -> Callable[[str, str], AdapterBridge]:
    def open_adapter(db_url: str, local_dir: str) -> AdapterBridge:
        directory = Path(local_dir)
        directory.mkdir(parents=True, exist_ok=True)
        return AdapterBridge(factory(db_url=db_url, local_dir=directory))

    return open_adapter


_WHOLE = frozenset({"row_count", "rows_written", "batch_size", "db_id", "attempt", "attempts", "num_losers", "objects_deleted"})
_LOGGED = {
    "write.started": "write_started", "write.sharding_completed": "sharding_completed", "write.shard.started": "shard_write_started",
    "write.shard.completed": "shard_write_completed", "write.shards_completed": "shard_writes_completed",
    "write.winner_selected": "winner_selected", "write.manifest_published": "manifest_published",
    "write.current_published": "current_published", "write.loser.removed": "loser_attempt_cleaned",
    "write.losers.removed": "losers_cleanup_completed", "write.completed": "write_completed",
}
_FAILURES = {
    "write.shard.retried": ("shard_write_retrying", FailureSeverity.TRANSIENT),
    "write.shard.failed": ("shard_write_failed", FailureSeverity.ERROR),
    "write.shard.retry_exhausted": ("shard_write_retry_exhausted", FailureSeverity.ERROR),
    "write.coverage_mismatch": ("shard_coverage_mismatch", FailureSeverity.ERROR),
    "write.manifest_failed": ("manifest_publish_failed", FailureSeverity.ERROR),
    "write.current_retried": ("publish_current_retry", FailureSeverity.TRANSIENT),
    "write.loser.kept": ("loser_cleanup_failed", FailureSeverity.TRANSIENT),
}
_METRICS = frozenset(event.value for event in MetricEvent)


def event_sink(collector: MetricsCollector | None, run_id: str) -> Callable[[str, dict[str, float], str], None]:
    """Tells the collector and the log of the core's events, which come from threads without a LogContext."""

    def tell(event: str, numbers: dict[str, float], about: str) -> None:
        fields: dict[str, Any] = {name: int(number) if name in _WHOLE else number for name, number in numbers.items()}
        if event in _LOGGED:
            log_event(_LOGGED[event], logger=_logger, run_id=run_id, **fields, **({"db_url": about} if about else {}))
        elif event in _FAILURES:
            name, severity = _FAILURES[event]
            log_failure(name, severity=severity, logger=_logger, run_id=run_id, **fields, **({"problem": about} if about else {}))
        if event in _METRICS:
            emit(collector, MetricEvent(event), **fields)

    def tell_and_survive(event: str, numbers: dict[str, float], about: str) -> None:
        try:
            tell(event, numbers, about)
        except Exception as error:  # noqa: BLE001  (a handler of the log)
            log_failure("write_event_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger, metric=event)

    return tell_and_survive
