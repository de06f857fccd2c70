"""The reader for tasks of asyncio."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

from typing_extensions import Self

from .._failures import NotSupported
from ..async_manifest_store import AsyncManifestStore
from ..credentials import CredentialProvider
from ..errors import ReaderStateError
from ..logging import FailureSeverity, get_logger, log_event, log_failure
from ..manifest import RequiredShardMeta
from ..metrics import MetricEvent, MetricsCollector, emit
from ..rate_limiter import RateLimiter
from ..sharding_types import KeyEncoding, KeyInput
from ..type_defs import AsyncShardReaderFactory, S3ConnectionOptions
from ._async_engines import AsyncCoreEngine, AsyncForeignEngine
from ._factories import AsyncAnyFormatReaderFactory, AsyncSlateDbReaderFactory, is_ours
from ._handles import AsyncShardReaderHandle
from ._reader_base import check_reader_options
from ._types import ReaderHealth, ShardDetail, SnapshotInfo, info_of

__all__ = ["AsyncShardReaderHandle", "AsyncShardedReader", "AsyncSlateDbReaderFactory"]

_logger = get_logger("reader")
_ROWS_PER_STEP = 1024


class AsyncShardedReader:
    """ShardedReader for tasks: `async with await AsyncShardedReader.open(…) as reader`.

    A lookup of what is mapped or cached is answered without a thread. max_concurrency: threads for the rest, and, with a
    reader_factory of yours, lookups at a time.
    """

    def __init__(self, *, s3_prefix: str, local_root: str, manifest_store: AsyncManifestStore | None = None,
                 current_pointer_key: str = "_CURRENT", reader_factory: AsyncShardReaderFactory | None = None,
                 slate_env_file: str | None = None, credential_provider: CredentialProvider | None = None,
                 s3_connection_options: S3ConnectionOptions | None = None, max_concurrency: int | None = None,
                 max_fallback_attempts: int = 3, metrics_collector: MetricsCollector | None = None,
                 rate_limiter: RateLimiter | None = None) -> None:
        check_reader_options(max_concurrency, max_fallback_attempts, "max_concurrency")
        self._factory = reader_factory
        self._max_concurrency = max_concurrency
        self._metrics = metrics_collector
        self._limiter = rate_limiter
        self._observed = metrics_collector is not None or rate_limiter is not None
        self._options: dict[str, Any] = {
            "s3_prefix": s3_prefix, "local_root": local_root, "manifest_store": manifest_store, "current_pointer_key": current_pointer_key,
            "slate_env_file": slate_env_file, "credential_provider": credential_provider, "s3_connection_options": s3_connection_options,
            "max_fallback_attempts": max_fallback_attempts}
        self._opened: AsyncCoreEngine | AsyncForeignEngine | None = None
        self._is_closed = False
        self._handles = 0

    @classmethod
    async def open(cls, *, s3_prefix: str, local_root: str, manifest_store: AsyncManifestStore | None = None,
                   current_pointer_key: str = "_CURRENT", reader_factory: AsyncShardReaderFactory | None = None,
                   slate_env_file: str | None = None, credential_provider: CredentialProvider | None = None,
                   s3_connection_options: S3ConnectionOptions | None = None, max_concurrency: int | None = None,
                   max_fallback_attempts: int = 3, metrics_collector: MetricsCollector | None = None,
                   rate_limiter: RateLimiter | None = None) -> AsyncShardedReader:
        """A reader that is ready. Raises: as ShardedReader."""
        reader = cls(s3_prefix=s3_prefix, local_root=local_root, manifest_store=manifest_store, current_pointer_key=current_pointer_key,
                     reader_factory=reader_factory, slate_env_file=slate_env_file, credential_provider=credential_provider,
                     s3_connection_options=s3_connection_options, max_concurrency=max_concurrency,
                     max_fallback_attempts=max_fallback_attempts, metrics_collector=metrics_collector, rate_limiter=rate_limiter)
        await reader._open()
        return reader

    async def _open(self) -> None:
        self._opened = await self._opened_engine()
        info = self.snapshot_info()
        log_event("reader_initialized", logger=_logger, run_id=info.run_id, num_dbs=info.num_dbs, manifest_ref=info.manifest_ref)
        emit(self._metrics, MetricEvent.READER_INITIALIZED)

    async def _opened_engine(self) -> AsyncCoreEngine | AsyncForeignEngine:
        factory = self._factory
        if is_ours(factory):
            ours = AsyncCoreEngine(self._max_concurrency)
            try:
                await ours.open_async(factory=factory, max_workers=None, **self._options)
                return ours
            except NotSupported:
                # An expression for the other compiler, perhaps: it routes in Python, to the same shards.
                options = self._options
                factory = factory or AsyncAnyFormatReaderFactory(options["slate_env_file"], options["credential_provider"],
                                                                 options["s3_connection_options"])
        assert factory is not None
        foreign = AsyncForeignEngine(factory, self._max_concurrency)
        await foreign.open_async(**self._options)
        return foreign

    @property
    def _engine(self) -> Any:
        if self._is_closed or self._opened is None:
            raise ReaderStateError("the reader is closed" if self._is_closed else "the reader is not open: await AsyncShardedReader.open(…)")
        return self._opened

    async def get(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> bytes | None:
        """The value of `key`; None where it is absent."""
        engine = self._engine
        if not self._observed:
            return await engine.look_async(key, routing_context)  # type: ignore[no-any-return]
        if self._limiter is not None:
            await self._limiter.acquire_async(1)
        started = time.perf_counter()
        value: bytes | None = await engine.look_async(key, routing_context)
        emit(self._metrics, MetricEvent.READER_GET, duration_ms=(time.perf_counter() - started) * 1000, found=value is not None)
        return value

    async def multi_get(self, keys: Sequence[KeyInput], *,
                        routing_context: dict[str, object] | None = None) -> dict[KeyInput, bytes | None]:
        """Values by key in the order of `keys`; None for absent ones."""
        engine = self._engine
        keys = list(keys)
        if self._limiter is not None and keys:
            await self._limiter.acquire_async(len(keys))
        started = time.perf_counter()
        found: dict[KeyInput, bytes | None] = await engine.look_many_async(keys, routing_context)
        emit(self._metrics, MetricEvent.READER_MULTI_GET, duration_ms=(time.perf_counter() - started) * 1000, num_keys=len(keys))
        return found

    async def _steps(self, pairs: Iterator[tuple[KeyInput, bytes]]) -> AsyncIterator[tuple[KeyInput, bytes]]:
        def step() -> list[tuple[KeyInput, bytes]]:
            return [pair for pair, _ in zip(pairs, range(_ROWS_PER_STEP))]

        while rows := await self._engine.in_thread(step):
            for row in rows:
                yield row

    async def scan(self, start: KeyInput | None = None, end: KeyInput | None = None) -> AsyncIterator[tuple[KeyInput, bytes]]:
        """(key, value) from `start` on, up to but without `end`. See ShardedReader.scan."""
        engine = self._engine
        pairs = engine.scan_pairs(start, end) if isinstance(engine, AsyncForeignEngine) else await engine.in_thread(
            engine.scan_pairs, start, end)
        async for row in self._steps(pairs):
            yield row

    async def scan_prefix(self, prefix: str | bytes) -> AsyncIterator[tuple[KeyInput, bytes]]:
        """(key, value) of the keys that start with `prefix`."""
        engine = self._engine
        pairs = engine.scan_pairs_of(prefix) if isinstance(engine, AsyncForeignEngine) else await engine.in_thread(
            engine.scan_pairs_of, prefix)
        async for row in self._steps(pairs):
            yield row

    @property
    def key_encoding(self) -> KeyEncoding:
        return self._engine.encoding()  # type: ignore[no-any-return]

    def snapshot_info(self) -> SnapshotInfo:
        return info_of(*self._engine.parsed_manifest())

    def shard_details(self) -> list[ShardDetail]:
        return self._engine.details()  # type: ignore[no-any-return]

    def health(self, *, staleness_threshold: timedelta | None = None) -> ReaderHealth:
        if self._opened is None:
            return ReaderHealth("unhealthy", "", timedelta(0), 0, self._is_closed)
        return self._opened.state(staleness_threshold)

    def route_key(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> int:
        return self._engine.route(key, routing_context)  # type: ignore[no-any-return]

    def shard_for_key(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> RequiredShardMeta:
        return self._engine.shard(self._engine.route(key, routing_context))  # type: ignore[no-any-return]

    def shards_for_keys(self, keys: Sequence[KeyInput]) -> dict[KeyInput, RequiredShardMeta]:
        return {key: self.shard_for_key(key) for key in keys}

    def reader_for_key(self, key: KeyInput) -> AsyncShardReaderHandle:
        """A handle for stored keys of this key's shard; close it."""
        engine = self._engine
        inner = engine.async_handle_of(engine.route(key, None))
        self._handles += 1
        return AsyncShardReaderHandle(inner, lambda: self._give_back(inner))

    def readers_for_keys(self, keys: Sequence[KeyInput]) -> dict[KeyInput, AsyncShardReaderHandle]:
        return {key: self.reader_for_key(key) for key in dict.fromkeys(keys)}

    def _give_back(self, inner: Any) -> None:
        self._handles -= 1
        inner.close()

    async def refresh(self) -> bool:
        """Reads the snapshot that is current now: True if it is another one. See ShardedReader.refresh."""
        changed, problem = await self._engine.look_ahead_async()
        if problem is not None:
            log_failure("reader_refresh_malformed_manifest", severity=FailureSeverity.ERROR, error=ReaderStateError(problem), logger=_logger)
        else:
            log_event("reader_refreshed" if changed else "reader_refresh_unchanged", logger=_logger)
        emit(self._metrics, MetricEvent.READER_REFRESHED, changed=changed)
        return changed  # type: ignore[no-any-return]

    async def close(self) -> None:
        """Calls that run finish; later ones raise ReaderStateError."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._opened is not None:
            await self._opened.close_async()
            log_event("reader_closed", logger=_logger)
            emit(self._metrics, MetricEvent.READER_CLOSED, num_handles=self._handles)

    async def __aenter__(self) -> Self:
        if self._opened is None and not self._is_closed:
            await self._open()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()
