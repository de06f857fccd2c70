"""Stand-ins for tests of programs: adapters that keep pairs in memory or in files, one that fails once, a collector that remembers.

All factories are picklable.
"""

from __future__ import annotations

import hashlib
import re
import struct
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import DbAdapterError, ShardWriteError
from .metrics import MetricEvent
from .type_defs import DbAdapter, DbAdapterFactory, Manifest

if TYPE_CHECKING:
    from typing_extensions import Self

_LENGTHS = struct.Struct("<II")


class ListMetricsCollector:
    """Remembers events in the order they came. Callable from several threads."""

    def __init__(self) -> None:
        self.events: list[tuple[MetricEvent, dict[str, Any]]] = []
        self._lock = threading.Lock()

    def emit(self, event: MetricEvent, payload: dict[str, Any]) -> None:
        with self._lock:
            self.events.append((event, dict(payload)))

    def named(self, event: MetricEvent) -> list[dict[str, Any]]:
        """Payloads of one kind of event."""
        return [payload for kind, payload in list(self.events) if kind is event]


class _Adapter:
    """What both adapters share: leaving the context closes; nothing is written after the seal."""

    def __init__(self) -> None:
        self.sealed = False
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _check_open(self) -> None:
        if self.sealed or self.closed:
            raise DbAdapterError("the shard database is sealed or closed")

    def flush(self) -> None:
        self._check_open()

    def seal(self) -> None:
        self.sealed = True

    def close(self) -> None:
        self.closed = True


class FakeAdapter(_Adapter):
    """A shard database in memory: `pairs` by key, and how many batches came."""

    def __init__(self, *, db_url: str, local_dir: Path) -> None:
        super().__init__()
        self.db_url = db_url
        self.local_dir = local_dir
        self.pairs: dict[bytes, bytes] = {}
        self.num_batches = 0

    def write_batch(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._check_open()
        self.pairs.update(pairs)
        self.num_batches += 1

    def db_bytes(self) -> int:
        return sum(len(key) + len(value) for key, value in self.pairs.items())


def fake_adapter_factory(*, db_url: str, local_dir: Path) -> FakeAdapter:
    return FakeAdapter(db_url=db_url, local_dir=local_dir)


class FileBackedAdapter(_Adapter):
    """A shard database as one file: for each pair two lengths, key and value, in the order they came."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: BinaryIO = open(path, "wb")

    def write_batch(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._check_open()
        for key, value in pairs:
            self._file.write(_LENGTHS.pack(len(key), len(value)) + key + value)

    def flush(self) -> None:
        super().flush()
        self._file.flush()

    def db_bytes(self) -> int:
        return self._path.stat().st_size

    def close(self) -> None:
        super().close()
        self._file.close()


@dataclass(frozen=True)
class FileBackedAdapterFactory:
    root_dir: str

    def __call__(self, *, db_url: str, local_dir: Path) -> FileBackedAdapter:
        return FileBackedAdapter(_file_of(self.root_dir, db_url))


def file_backed_adapter_factory(root_dir: str) -> FileBackedAdapterFactory:
    """Shard databases that are files below `root_dir`, for `file_backed_load_db` and FileBackedReaderFactory."""
    return FileBackedAdapterFactory(str(root_dir))


def file_backed_load_db(root_dir: str, db_url: str) -> dict[bytes, bytes]:
    """All pairs of a shard; of a key that came twice the last. Raises: DbAdapterError for a shard never written or cut short."""
    return dict(_pairs_in(_file_of(root_dir, db_url)))


def _file_of(root_dir: str, db_url: str) -> Path:
    return Path(root_dir) / f"{hashlib.sha256(db_url.encode()).hexdigest()}.pairs"


def _pairs_in(path: Path) -> Iterator[tuple[bytes, bytes]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DbAdapterError(f"no shard database at {path}") from None
    at = 0
    while at < len(data):
        key_size, value_size = _LENGTHS.unpack_from(data.ljust(at + 8, b"\0"), at)
        end = at + 8 + key_size + value_size
        if end > len(data):
            raise DbAdapterError(f"{path} is cut short at byte {at}")
        yield data[at + 8:at + 8 + key_size], data[at + 8 + key_size:end]
        at = end


class _PairsReader:
    def __init__(self, pairs: dict[bytes, bytes]) -> None:
        self._pairs = pairs

    def get(self, key: bytes) -> bytes | None:
        return self._pairs.get(key)

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class FileBackedReaderFactory:
    """Reads what file_backed_adapter_factory wrote below the same `root_dir`."""

    root_dir: str

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest) -> _PairsReader:
        return _PairsReader(file_backed_load_db(self.root_dir, db_url))


@dataclass
class FailOnceAdapterFactory:
    """Adapters of `inner`; the first batch of each shard in `fail_db_ids` fails with ShardWriteError, once in all processes.

    marker_root: a directory for a file that says "has failed" for each of them.
    """

    inner: DbAdapterFactory
    marker_root: str
    fail_db_ids: tuple[int, ...] = field(default=(0,))

    def __call__(self, *, db_url: str, local_dir: Path) -> DbAdapter:
        adapter = self.inner(db_url=db_url, local_dir=local_dir)
        found = re.search(r"db=(\d+)", db_url)
        if found is not None and int(found[1]) in self.fail_db_ids:
            return _FailingOnce(adapter, Path(self.marker_root) / f"failed-db={found[1]}")
        return adapter


class _FailingOnce:
    def __init__(self, inner: DbAdapter, marker: Path) -> None:
        self._inner = inner
        self._marker = marker

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._inner.__exit__(kind, error, trace)

    def write_batch(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._marker.touch(exist_ok=False)
        except FileExistsError:
            self._inner.write_batch(pairs)
            return
        raise ShardWriteError(f"this shard fails once ({self._marker})")

    def flush(self) -> None:
        self._inner.flush()

    def seal(self) -> None:
        self._inner.seal()

    def db_bytes(self) -> int:
        return self._inner.db_bytes()

    def close(self) -> None:
        self._inner.close()
