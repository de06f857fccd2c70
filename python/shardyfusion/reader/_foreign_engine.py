"""A reader whose shards are opened by a factory of the user's: through the protocols, in threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import DbAdapterError, PoolExhaustedError, ReaderStateError, ShardyfusionError
from ..logging import FailureSeverity, get_logger, log_failure
from ..manifest import ParsedManifest, RequiredShardMeta
from ..manifest_store import ManifestStore, S3ManifestStore
from ..sharding_types import KeyInput
from ..storage import backend_for
from ..type_defs import ShardReader, ShardReaderFactory
from ._factories import check_place
from ._generations import UNREADABLE, ForeignShards, Generation, find_manifest, refuse_vectors


_logger = get_logger("reader")


class _Slot:
    """A shard's readers, opened when they are needed and lent to one thread at a time."""

    def __init__(self, open_shard: Callable[[], ShardReader], copies: int, timeout_s: float | None) -> None:
        self.users = 0
        self._open = open_shard
        self._timeout_s = timeout_s
        self._opened: list[ShardReader] = []
        self._free: queue.LifoQueue[ShardReader | None] = queue.LifoQueue()
        for _ in range(copies):
            self._free.put(None)

    @contextmanager
    def lent(self) -> Iterator[ShardReader]:
        try:
            reader = self._free.get(timeout=self._timeout_s)
        except queue.Empty:
            raise PoolExhaustedError(f"no reader of the shard became free within {self._timeout_s} s") from None
        try:
            if reader is None:
                reader = self._open()
                self._opened.append(reader)
            yield reader
        finally:
            self._free.put(reader)

    def get_many(self, pairs: list[tuple[KeyInput, bytes]]) -> dict[KeyInput, bytes | None]:
        with self.lent() as reader:
            return {key: reader.get(stored) for key, stored in pairs}

    def close(self) -> None:
        while self._opened:
            try:
                self._opened.pop().close()
            except Exception as error:  # noqa: BLE001  (the others are closed all the same)
                log_failure("shard_reader_close_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger)


class _Handle:
    """A ShardReader over a slot of a generation that is held."""

    def __init__(self, slot: _Slot | None, give_back: Callable[[], None]) -> None:
        self._slot = slot
        self.close = give_back

    def get(self, key: bytes) -> bytes | None:
        if self._slot is None:
            return None
        with self._slot.lent() as reader:
            return reader.get(key)


class ForeignEngine(ForeignShards[_Slot]):
    """copies: readers of each shard; timeout_s: how long one is waited for."""

    def __init__(self, *, factory: ShardReaderFactory, s3_prefix: str, local_root: str, manifest_store: ManifestStore | None,
                 current_pointer_key: str, slate_env_file: str | None, credential_provider: Any, s3_connection_options: Any,
                 max_workers: int | None, max_fallback_attempts: int, copies: int = 1, timeout_s: float | None = None) -> None:
        check_place(s3_prefix, local_root)
        self._store: ManifestStore = manifest_store or S3ManifestStore(
            backend_for(s3_prefix, credential_provider, s3_connection_options), s3_prefix, current_pointer_key=current_pointer_key)
        self._factory = factory
        self._local_root = Path(local_root)
        self._copies = copies
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._refreshing = threading.Lock()
        self._closed = False
        self._pool = ThreadPoolExecutor(max_workers) if max_workers is not None and max_workers > 1 else None
        self._generation = Generation(*find_manifest(self._store, max_fallback_attempts), self._slot, None)

    def _slot(self, shard: RequiredShardMeta, manifest: ParsedManifest) -> _Slot:
        return _Slot(partial(self._opened_shard, shard, manifest), self._copies, self._timeout_s)

    def _take(self) -> Generation[_Slot]:
        with self._lock:
            if self._closed:
                raise ReaderStateError("the reader is closed")
            self._generation.users += 1
            return self._generation

    def _give_back(self, generation: Generation[_Slot]) -> None:
        with self._lock:
            generation.users -= 1
            unused = generation.unused_slots() if generation.users == 0 else []
        for slot in unused:
            slot.close()

    @contextmanager
    def _held(self) -> Iterator[Generation[_Slot]]:
        generation = self._take()
        try:
            yield generation
        finally:
            self._give_back(generation)

    def look(self, key: KeyInput, context: dict[str, object] | None) -> bytes | None:
        with self._held() as generation:
            db_id = generation.router.find(key, context)
            stored = generation.router.encode_lookup_key(key)
            slot = None if db_id is None else generation.slots.get(db_id)
            if slot is None:
                return None
            with slot.lent() as reader:
                return reader.get(stored)

    def look_many(self, keys: Sequence[KeyInput], context: dict[str, object] | None) -> dict[KeyInput, bytes | None]:
        found: dict[KeyInput, bytes | None] = dict.fromkeys(keys)
        with self._held() as generation:
            encode = generation.router.encode_lookup_key
            groups = [(slot, [(key, encode(key)) for key in members]) for slot, members in generation.group(list(found), context)]
            if self._pool is None or len(groups) < 2:
                answers = [_asked(slot, pairs) for slot, pairs in groups]
            else:
                answers = [future.result() for future in [self._pool.submit(_asked, slot, pairs) for slot, pairs in groups]]
        for answer in answers:
            found.update(answer)
        return found

    def handle_of(self, db_id: int) -> _Handle:
        generation = self._take()
        return _Handle(generation.slots.get(db_id), lambda: self._give_back(generation))

    def look_ahead(self) -> tuple[bool, str | None]:
        with self._refreshing:
            current = self._store.load_current()
            if current is None:
                raise ReaderStateError("there is no current manifest any more; the snapshot of before is still read")
            before = self._generation
            if current.ref == before.ref.ref:
                return False, None
            try:
                manifest = refuse_vectors(self._store.load_manifest(current.ref))
            except UNREADABLE as error:
                return False, str(error)
            with self._lock:
                if self._closed:
                    raise ReaderStateError("the reader is closed")
                self._generation = Generation(current, manifest, self._slot, before)
        self._give_back(before)
        return True, None

    def close_core(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._give_back(self._generation)
        if self._pool is not None:
            self._pool.shutdown(wait=False)


def _asked(slot: _Slot, pairs: list[tuple[KeyInput, bytes]]) -> dict[KeyInput, bytes | None]:
    try:
        return slot.get_many(pairs)
    except ShardyfusionError:
        raise
    except Exception as error:
        raise DbAdapterError(f"a shard could not be read: {type(error).__name__}: {error}") from error
