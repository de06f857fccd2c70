"""What the two readers for threads have in common; they differ in how shards of users' factories are shared."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from typing_extensions import Self

from .._failures import NotSupported
from ..errors import ReaderStateError
from ..logging import FailureSeverity, get_logger, log_event, log_failure
from ..manifest import RequiredShardMeta
from ..metrics import MetricEvent, MetricsCollector, emit
from ..rate_limiter import RateLimiter
from ..sharding_types import KeyEncoding, KeyInput
from ._core_engine import CoreEngine
from ._factories import AnyFormatReaderFactory, is_ours
from ._foreign_engine import ForeignEngine
from ._handles import ShardReaderHandle
from ._types import ReaderHealth, ShardDetail, SnapshotInfo, info_of

_logger = get_logger("reader")


def check_reader_options(max_workers: int | None, max_fallback_attempts: int, workers_name: str = "max_workers") -> None:
    if max_workers is not None and (type(max_workers) is not int or max_workers < 1):
        raise ValueError(f"{workers_name} is at least 1, given {max_workers!r}")
    if type(max_fallback_attempts) is not int or max_fallback_attempts < 0:
        raise ValueError(f"max_fallback_attempts is 0 or more, given {max_fallback_attempts!r}")


class BaseShardedReader(CoreEngine):
    """`get` is the core's; where there is somebody to tell or to wait for, it calls `_get`."""

    _foreign: ForeignEngine | None = None
    _is_closed = True

    def _open_reader(self, *, factory: Any, foreign: dict[str, Any], metrics_collector: MetricsCollector | None,
                     rate_limiter: RateLimiter | None, max_workers: int | None, max_fallback_attempts: int, **options: Any) -> None:
        super().__init__()
        check_reader_options(max_workers, max_fallback_attempts)
        self._metrics = metrics_collector
        self._limiter = rate_limiter
        self._handles = 0
        options.update(max_workers=max_workers, max_fallback_attempts=max_fallback_attempts)
        if is_ours(factory):
            try:
                self.open_core(factory=factory, **options)
            except NotSupported:
                # An expression for the other compiler, perhaps: it routes in Python, to the same shards.
                factory = factory or AnyFormatReaderFactory(options["slate_env_file"], options["credential_provider"],
                                                            options["s3_connection_options"])
                self._foreign = ForeignEngine(factory=factory, **options)
        else:
            self._foreign = ForeignEngine(factory=factory, **foreign, **options)
        self._observed = self._foreign is not None or metrics_collector is not None or rate_limiter is not None
        self._is_closed = False
        info = self.snapshot_info()
        log_event("reader_initialized", logger=_logger, run_id=info.run_id, num_dbs=info.num_dbs, manifest_ref=info.manifest_ref)
        emit(metrics_collector, MetricEvent.READER_INITIALIZED)

    @property
    def _engine(self) -> CoreEngine | ForeignEngine:
        """What answers; raises where nothing does any more."""
        if self._is_closed:
            raise ReaderStateError("the reader is closed")
        return self if self._foreign is None else self._foreign

    def _get(self, key: KeyInput, routing_context: dict[str, object] | None) -> bytes | None:
        engine = self._engine
        if self._limiter is not None:
            self._limiter.acquire(1)
        started = time.perf_counter()
        value = engine.look(key, routing_context)
        emit(self._metrics, MetricEvent.READER_GET, duration_ms=(time.perf_counter() - started) * 1000, found=value is not None)
        return value

    def multi_get(self, keys: Sequence[KeyInput], *, routing_context: dict[str, object] | None = None) -> dict[KeyInput, bytes | None]:
        """Values by key in the order of `keys`; None for absent ones. Keys are grouped by shard, shards are asked side by side."""
        engine = self._engine
        if not self._observed:
            return engine.look_many(keys, routing_context)
        keys = list(keys)
        if self._limiter is not None and keys:
            self._limiter.acquire(len(keys))
        started = time.perf_counter()
        found = engine.look_many(keys, routing_context)
        emit(self._metrics, MetricEvent.READER_MULTI_GET, duration_ms=(time.perf_counter() - started) * 1000, num_keys=len(keys))
        return found

    def scan(self, start: KeyInput | None = None, end: KeyInput | None = None) -> Iterator[tuple[KeyInput, bytes]]:
        """(key, value) from `start` on, up to but without `end`, in ascending order of the stored keys, over all shards.

        Keys come as the encoding has them: int, text (bytes where they are no UTF-8), or bytes. Bounds may also be stored bytes.
        """
        return self._engine.scan_pairs(start, end)  # type: ignore[no-any-return]

    def scan_prefix(self, prefix: str | bytes) -> Iterator[tuple[KeyInput, bytes]]:
        """(key, value) of the keys that start with `prefix`, which is text or stored bytes."""
        return self._engine.scan_pairs_of(prefix)  # type: ignore[no-any-return]

    @property
    def key_encoding(self) -> KeyEncoding:
        return self._engine.encoding()

    def snapshot_info(self) -> SnapshotInfo:
        return info_of(*self._engine.parsed_manifest())

    def shard_details(self) -> list[ShardDetail]:
        """One for each shard of the snapshot, also for empty ones."""
        return self._engine.details()

    def health(self, *, staleness_threshold: timedelta | None = None) -> ReaderHealth:
        engine: CoreEngine | ForeignEngine = self if self._foreign is None else self._foreign
        return engine.state(staleness_threshold)

    def route_key(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> int:
        """The shard of a key; nothing is read. Raises: UnknownRoutingTokenError: the rule does not know it."""
        return self._engine.route(key, routing_context)

    def shard_for_key(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> RequiredShardMeta:
        return self._engine.shard(self._engine.route(key, routing_context))

    def shards_for_keys(self, keys: Sequence[KeyInput]) -> dict[KeyInput, RequiredShardMeta]:
        return {key: self.shard_for_key(key) for key in keys}

    def reader_for_key(self, key: KeyInput) -> ShardReaderHandle:
        """A handle for stored keys of this key's shard; close it."""
        engine = self._engine
        inner = engine.handle_of(engine.route(key, None))
        self._handles += 1
        return ShardReaderHandle(inner, lambda: self._give_back(inner))

    def readers_for_keys(self, keys: Sequence[KeyInput]) -> dict[KeyInput, ShardReaderHandle]:
        return {key: self.reader_for_key(key) for key in dict.fromkeys(keys)}

    def _give_back(self, inner: Any) -> None:
        self._handles -= 1
        inner.close()

    def refresh(self) -> bool:
        """Reads the snapshot that is current now: True if it is another one. One that cannot be read leaves the old one in use.

        Raises: ReaderStateError: closed, or nothing is current any more.
        """
        changed, problem = self._engine.look_ahead()
        if problem is not None:
            log_failure("reader_refresh_malformed_manifest", severity=FailureSeverity.ERROR, error=ReaderStateError(problem), logger=_logger)
        elif changed:
            log_event("reader_refreshed", logger=_logger, manifest_ref=self.snapshot_info().manifest_ref)
        else:
            log_event("reader_refresh_unchanged", logger=_logger)
        emit(self._metrics, MetricEvent.READER_REFRESHED, changed=changed)
        return changed

    def close(self) -> None:
        """Calls that run finish; later ones raise ReaderStateError."""
        if self._is_closed:
            return
        self._is_closed = True
        (self if self._foreign is None else self._foreign).close_core()
        log_event("reader_closed", logger=_logger)
        emit(self._metrics, MetricEvent.READER_CLOSED, num_handles=self._handles)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()
