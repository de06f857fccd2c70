"""Where manifests, pointers and run records are: objects by URL, in memory, in a directory, or in a bucket.

The store of buckets is the core's and is loaded when the first bucket is opened.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from .credentials import CredentialProvider
    from .type_defs import S3ConnectionOptions


@runtime_checkable
class StorageBackend(Protocol):
    """Objects by URL. Callable from several threads.

    `get` raises FileNotFoundError where there is no such object. `list_prefixes` gives the directories right below a URL, as
    sorted URLs; `delete_prefix` removes the objects below a URL and says how many there were.
    """

    def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None: ...
    def get(self, url: str) -> bytes: ...
    def try_get(self, url: str) -> bytes | None: ...
    def list_prefixes(self, prefix_url: str) -> list[str]: ...
    def delete_prefix(self, prefix_url: str) -> int: ...


@runtime_checkable
class AsyncStorageBackend(Protocol):
    """StorageBackend for tasks."""

    async def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None: ...
    async def get(self, url: str) -> bytes: ...
    async def try_get(self, url: str) -> bytes | None: ...
    async def list_prefixes(self, prefix_url: str) -> list[str]: ...
    async def delete_prefix(self, prefix_url: str) -> int: ...


def parse_s3_url(url: str) -> tuple[str, str]:
    """("bucket", "some/key") of "s3://bucket/some/key". Raises: ValueError for what is no such URL or has no bucket."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not url.startswith("s3://") or not bucket:
        raise ValueError(f"{url!r} is no URL of a bucket; it looks like s3://bucket/some/prefix")
    return bucket, key


def join_s3(base: str, *parts: str) -> str:
    """The parts below `base` with one slash between them and none at the end; empty parts are left out."""
    return "/".join([base.rstrip("/"), *(part.strip("/") for part in parts if part.strip("/"))])


class MemoryBackend:
    """Objects in this object, for tests and examples."""

    def __init__(self) -> None:
        self._objects: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        with self._lock:
            self._objects[url] = bytes(payload)

    def get(self, url: str) -> bytes:
        found = self.try_get(url)
        if found is None:
            raise FileNotFoundError(f"no object at {url}")
        return found

    def try_get(self, url: str) -> bytes | None:
        with self._lock:
            return self._objects.get(url)

    def list_prefixes(self, prefix_url: str) -> list[str]:
        base = prefix_url.rstrip("/") + "/"
        with self._lock:
            below = [url[len(base):] for url in self._objects if url.startswith(base)]
        return sorted({base + name.split("/")[0] for name in below if "/" in name})

    def delete_prefix(self, prefix_url: str) -> int:
        base = prefix_url.rstrip("/")
        with self._lock:
            doomed = [url for url in self._objects if url == base or url.startswith(base + "/")]
            for url in doomed:
                del self._objects[url]
        return len(doomed)


def path_of_file_url(url: str) -> Path:
    """The path of "file:///some/where". Nothing is percent-encoded. Raises: ValueError for other URLs and for `..` in it."""
    path = url.removeprefix("file://").removeprefix("localhost")
    if not url.startswith("file://") or not path.startswith("/"):
        raise ValueError(f"{url!r} is no URL of a directory; it looks like file:///some/directory")
    if ".." in path.split("/") or "\0" in path:
        raise ValueError(f"{url!r} leaves its directory")
    return Path(path)


class FileBackend:
    """Objects that are files: file:///some/where. An object is there as a whole or not at all, and stays when the power fails."""

    def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        path = path_of_file_url(url)
        _make_directories(path.parent)
        unfinished = path.parent / f".put-{uuid.uuid4().hex}"
        try:
            with open(unfinished, "xb") as file:
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)

    def get(self, url: str) -> bytes:
        try:
            return path_of_file_url(url).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(f"no object at {url}") from error

    def try_get(self, url: str) -> bytes | None:
        try:
            return self.get(url)
        except FileNotFoundError:
            return None

    def list_prefixes(self, prefix_url: str) -> list[str]:
        base = prefix_url.rstrip("/")
        try:
            with os.scandir(path_of_file_url(base)) as entries:
                return sorted(f"{base}/{entry.name}" for entry in entries if entry.is_dir() and os.listdir(entry.path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def delete_prefix(self, prefix_url: str) -> int:
        path = path_of_file_url(prefix_url.rstrip("/"))
        if not path.is_dir() or path.is_symlink():
            existed = path.exists()
            path.unlink(missing_ok=True)
            return int(existed)
        count = sum(len(files) for _, _, files in os.walk(path))
        shutil.rmtree(path)
        return count


def _make_directories(path: Path) -> None:
    missing = []
    while not path.exists():
        missing.append(path)
        path = path.parent
    for directory in reversed(missing):
        directory.mkdir(exist_ok=True)
        _sync_directory(directory.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class _InThreads:
    """A StorageBackend for tasks: each call runs in a thread."""

    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend

    async def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        await asyncio.to_thread(self._backend.put, url, payload, content_type, headers)

    async def get(self, url: str) -> bytes:
        return await asyncio.to_thread(self._backend.get, url)

    async def try_get(self, url: str) -> bytes | None:
        return await asyncio.to_thread(self._backend.try_get, url)

    async def list_prefixes(self, prefix_url: str) -> list[str]:
        return await asyncio.to_thread(self._backend.list_prefixes, prefix_url)

    async def delete_prefix(self, prefix_url: str) -> int:
        return await asyncio.to_thread(self._backend.delete_prefix, prefix_url)


class AsyncFileBackend(_InThreads):
    """FileBackend for tasks."""

    def __init__(self) -> None:
        super().__init__(FileBackend())


class AsyncMemoryBackend:
    """MemoryBackend for tasks; nothing waits."""

    def __init__(self) -> None:
        self._backend = MemoryBackend()

    async def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._backend.put(url, payload, content_type, headers)

    async def get(self, url: str) -> bytes:
        return self._backend.get(url)

    async def try_get(self, url: str) -> bytes | None:
        return self._backend.try_get(url)

    async def list_prefixes(self, prefix_url: str) -> list[str]:
        return self._backend.list_prefixes(prefix_url)

    async def delete_prefix(self, prefix_url: str) -> int:
        return self._backend.delete_prefix(prefix_url)


def backend_for(url: str, credential_provider: CredentialProvider | None = None,
                s3_connection_options: S3ConnectionOptions | None = None) -> StorageBackend:
    """The backend that `url` lies in: a directory for file://, a bucket for s3://."""
    if url.startswith("file://"):
        return FileBackend()
    bucket, _ = parse_s3_url(url)
    from ._object_storage import ObstoreBackend, create_s3_store

    credentials = credential_provider.resolve() if credential_provider else None
    backend: StorageBackend = ObstoreBackend(create_s3_store(bucket, credentials, s3_connection_options))
    return backend


def __getattr__(name: str) -> Any:
    if name in ("ObstoreBackend", "AsyncObstoreBackend", "create_s3_store"):
        from . import _object_storage

        return getattr(_object_storage, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
