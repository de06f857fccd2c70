"""What AsyncShardedReader stands on: the core's reader with a few threads, or factories of the user's for tasks."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from .._bridges import StoreOfLoop
from ..async_manifest_store import AsyncManifestStore
from ..errors import ConfigValidationError, DbAdapterError, ReaderStateError, ShardyfusionError
from ..logging import FailureSeverity, get_logger, log_failure
from ..manifest import ParsedManifest, RequiredShardMeta
from ..manifest_store import S3ManifestStore
from ..sharding_types import KeyInput
from ..storage import backend_for
from ..type_defs import AsyncShardReader, AsyncShardReaderFactory
from ._core_engine import CoreEngine, CoreHandle
from ._factories import check_place
from ._generations import UNREADABLE, ForeignShards, Generation, find_manifest, refuse_vectors


_logger = get_logger("reader")


class AsyncCoreEngine(CoreEngine):
    """What is mapped or cached is answered at once; the rest by a thread. A task that is cancelled leaves its thread to finish."""

    _store: StoreOfLoop | None = None

    def __init__(self, max_concurrency: int | None) -> None:
        super().__init__()
        workers = max_concurrency or min(32, 4 * (os.cpu_count() or 1))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="shardyfusion")

    async def in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        if self._store is not None:
            self._store.loop = loop
        try:
            return await loop.run_in_executor(self._pool, call, *arguments)
        except RuntimeError as error:
            if "shutdown" in str(error):
                raise ReaderStateError("the reader is closed") from None
            raise

    async def open_async(self, *, manifest_store: AsyncManifestStore | None, **options: Any) -> None:
        if manifest_store is not None:
            self._store = StoreOfLoop(manifest_store, asyncio.get_running_loop())
        store: Any = self._store
        try:
            await self.in_thread(lambda: self.open_core(manifest_store=store, **options))
        except asyncio.CancelledError:
            self._give_up()
            raise
        finally:
            if not self._is_open:
                self._pool.shutdown(wait=False)

    async def look_async(self, key: KeyInput, context: dict[str, object] | None) -> bytes | None:
        value = self._get_resident(key, routing_context=context)
        if value is NotImplemented:
            value = await self.in_thread(self.look, key, context)
        return value  # type: ignore[no-any-return]

    async def look_many_async(self, keys: Sequence[KeyInput], context: dict[str, object] | None) -> dict[KeyInput, bytes | None]:
        return await self.in_thread(self.look_many, keys, context)  # type: ignore[no-any-return]

    def async_handle_of(self, db_id: int) -> AsyncCoreHandle:
        return AsyncCoreHandle(self)

    async def look_ahead_async(self) -> tuple[bool, str | None]:
        return await self.in_thread(self.look_ahead)  # type: ignore[no-any-return]

    async def close_async(self) -> None:
        self._pool.shutdown(wait=False)
        self.close_core()


class AsyncCoreHandle(CoreHandle):
    """A ShardReader by stored keys for tasks."""

    _engine: AsyncCoreEngine

    async def get(self, key: bytes) -> bytes | None:  # type: ignore[override]
        try:
            return await self._engine.look_async(key, None)
        except ConfigValidationError:
            return None


class _Slot:
    """A shard's reader, opened by the first task that needs it."""

    def __init__(self, open_shard: Callable[[], Any]) -> None:
        self.users = 0
        self._open = open_shard
        self._lock = asyncio.Lock()
        self._reader: AsyncShardReader | None = None

    async def reader(self) -> AsyncShardReader:
        if self._reader is None:
            async with self._lock:
                if self._reader is None:
                    self._reader = await self._open()
        return self._reader

    async def get(self, key: bytes) -> bytes | None:
        return await (await self.reader()).get(key)

    async def close(self) -> None:
        if self._reader is None:
            return
        try:
            await self._reader.close()
        except Exception as error:  # noqa: BLE001  (the others are closed all the same)
            log_failure("shard_reader_close_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger)


class _Handle:
    def __init__(self, slot: _Slot | None, give_back: Callable[[], None]) -> None:
        self._slot = slot
        self.close = give_back

    async def get(self, key: bytes) -> bytes | None:
        return None if self._slot is None else await self._slot.get(key)


class AsyncForeignEngine(ForeignShards[_Slot]):
    """Shards that an AsyncShardReaderFactory opens, at most `max_concurrency` lookups at a time. For one event loop."""

    def __init__(self, factory: AsyncShardReaderFactory, max_concurrency: int | None) -> None:
        self._factory = factory
        self._turns = asyncio.Semaphore(max_concurrency) if max_concurrency is not None else None
        self._closed = False
        self._closing: set[asyncio.Task[None]] = set()

    async def open_async(self, *, manifest_store: AsyncManifestStore | None, s3_prefix: str, local_root: str, current_pointer_key: str,
                         slate_env_file: str | None, credential_provider: Any, s3_connection_options: Any,
                         max_fallback_attempts: int) -> None:
        check_place(s3_prefix, local_root)
        if manifest_store is not None:
            self._store: Any = StoreOfLoop(manifest_store, asyncio.get_running_loop())
        else:
            backend = backend_for(s3_prefix, credential_provider, s3_connection_options)
            self._store = S3ManifestStore(backend, s3_prefix, current_pointer_key=current_pointer_key)
        self._local_root = Path(local_root)
        ref, manifest = await asyncio.to_thread(find_manifest, self._store, max_fallback_attempts)
        self._generation = Generation(ref, manifest, self._slot, None)

    def _slot(self, shard: RequiredShardMeta, manifest: ParsedManifest) -> _Slot:
        return _Slot(partial(self._opened_shard, shard, manifest))

    def _give_back(self, generation: Generation[_Slot]) -> None:
        generation.users -= 1
        unused = generation.unused_slots() if generation.users == 0 else []
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a handle that is closed, or collected, after the loop has ended
            for slot in unused:
                asyncio.run(slot.close())
            return
        for slot in unused:
            task = loop.create_task(slot.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[Generation[_Slot]]:
        generation = self._generation
        generation.users += 1
        try:
            yield generation
        finally:
            self._give_back(generation)

    async def _ask(self, slot: _Slot, stored: bytes) -> bytes | None:
        if self._turns is None:
            return await slot.get(stored)
        async with self._turns:
            return await slot.get(stored)

    async def look_async(self, key: KeyInput, context: dict[str, object] | None) -> bytes | None:
        async with self._held() as generation:
            db_id = generation.router.find(key, context)
            stored = generation.router.encode_lookup_key(key)
            slot = None if db_id is None else generation.slots.get(db_id)
            return None if slot is None else await self._ask(slot, stored)

    async def look_many_async(self, keys: Sequence[KeyInput], context: dict[str, object] | None) -> dict[KeyInput, bytes | None]:
        found: dict[KeyInput, bytes | None] = dict.fromkeys(keys)

        async def ask(slot: _Slot, members: list[KeyInput]) -> None:
            for key in members:
                found[key] = await self._ask(slot, encode(key))

        async with self._held() as generation:
            encode = generation.router.encode_lookup_key
            tasks = [asyncio.ensure_future(ask(slot, members)) for slot, members in generation.group(list(found), context)]
            try:
                await asyncio.gather(*tasks)
            except ShardyfusionError:
                raise
            except Exception as error:
                raise DbAdapterError(f"a shard could not be read: {type(error).__name__}: {error}") from error
            finally:
                for task in tasks:
                    task.cancel()
        return found

    def async_handle_of(self, db_id: int) -> _Handle:
        generation = self._generation
        generation.users += 1
        return _Handle(generation.slots.get(db_id), lambda: self._give_back(generation))

    async def look_ahead_async(self) -> tuple[bool, str | None]:
        if isinstance(self._store, StoreOfLoop):
            self._store.loop = asyncio.get_running_loop()
        current = await asyncio.to_thread(self._store.load_current)
        if current is None:
            raise ReaderStateError("there is no current manifest any more; the snapshot of before is still read")
        before = self._generation
        if current.ref == before.ref.ref:
            return False, None
        try:
            manifest = refuse_vectors(await asyncio.to_thread(self._store.load_manifest, current.ref))
        except UNREADABLE as error:
            return False, str(error)
        if self._generation is not before or self._closed:
            return False, None  # another task was faster
        self._generation = Generation(current, manifest, self._slot, before)
        self._give_back(before)
        return True, None

    async def close_async(self) -> None:
        if not self._closed:
            self._closed = True
            self._give_back(self._generation)
            await asyncio.gather(*self._closing)
