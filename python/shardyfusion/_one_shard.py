"""One shard database by itself: written by an adapter, read by a shard reader. The programs' own factories build on these; our writers
and readers do not, they handle many shards in the core."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from . import _core
from ._bridges import ManifestBridge
from .credentials import CredentialProvider
from .errors import DbAdapterError
from .manifest import ManifestShardingSpec, RequiredBuildMeta, RequiredShardMeta
from .manifest_store import InMemoryManifestStore
from .sharding_types import KeyEncoding, ShardHashAlgorithm
from .storage import StorageBackend, backend_for
from .type_defs import S3ConnectionOptions


class ShardAdapter:
    """A DbAdapter that keeps the pairs until the seal and uploads at the close; a shard that was not sealed is not uploaded."""

    def __init__(self, format_fields: dict[str, Any], *, db_url: str, local_dir: Path,
                 credential_provider: CredentialProvider | None = None,
                 s3_connection_options: S3ConnectionOptions | None = None) -> None:
        self._format = format_fields
        self._db_url = db_url.rstrip("/")
        self._local_dir = Path(local_dir)
        self._credential_provider = credential_provider
        self._s3_connection_options = s3_connection_options
        self._pairs: dict[bytes, bytes] = {}
        self._objects: list[tuple[str, str, bytes]] | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            self._objects = None
        self.close()

    def write_batch(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        if self._closed or self._objects is not None:
            raise DbAdapterError(f"shard {self._db_url} is sealed or closed")
        self._pairs.update(pairs)

    def flush(self) -> None:
        """Nothing is visible before the close."""

    def seal(self) -> None:
        if self._objects is None:
            self._objects = _core.build_shard(self._format, sorted(self._pairs.items()))
            self._pairs.clear()

    def db_bytes(self) -> int:
        return sum(len(payload) for _, _, payload in self._objects or [])

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._objects is not None:
                self._upload(backend_for(self._db_url, self._credential_provider, self._s3_connection_options))
        finally:
            shutil.rmtree(self._local_dir, ignore_errors=True)

    def _upload(self, backend: StorageBackend) -> None:
        for name, content_type, payload in self._objects or []:
            backend.put(f"{self._db_url}/{name}", payload, content_type)


def _manifest_of(db_url: str, checkpoint_id: str | None) -> ManifestBridge:
    """A snapshot that is this one shard, with keys as they are stored."""
    from datetime import datetime, timezone

    store = InMemoryManifestStore()
    build = RequiredBuildMeta(run_id="one-shard", created_at=datetime.now(timezone.utc), num_dbs=1, s3_prefix=db_url, key_col="_key",
                              sharding=ManifestShardingSpec(hash_algorithm=ShardHashAlgorithm.XXH3_64),
                              db_path_template="db={db_id:05d}", shard_prefix="shards", key_encoding=KeyEncoding.RAW)
    shard = RequiredShardMeta(db_id=0, db_url=db_url, attempt=0, row_count=1, db_bytes=0, checkpoint_id=checkpoint_id)
    store.publish(run_id="one-shard", required_build=build, shards=[shard], custom={})
    return ManifestBridge(store)


class ShardReader:
    """A ShardReader by stored keys. Callable from several threads."""

    def __init__(self, *, db_url: str, local_dir: Path | str, checkpoint_id: str | None, shard_format: str | None, sqlite_mode: str = "auto",
                 block_cache_bytes: int | None = None, env_file: str | None = None, credential_provider: CredentialProvider | None = None,
                 s3_connection_options: S3ConnectionOptions | None = None) -> None:
        from ._settings import s3_fields  # which knows the factories that build on this

        db_url = db_url.rstrip("/")
        fields: dict[str, Any] = {
            "prefix": db_url, "local_root": str(local_dir), "shard_format": shard_format, "sqlite_mode": sqlite_mode,
            "max_fallback_attempts": 0, "s3": s3_fields(credential_provider, s3_connection_options, env_file)}
        if block_cache_bytes is not None:
            fields["block_cache_bytes"] = block_cache_bytes
        self._core = _core.Reader()
        self._core._open(fields, _manifest_of(db_url, checkpoint_id))

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._core.get(key)
        return value

    def close(self) -> None:
        self._core._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncShardReader:
    """A ShardReader for tasks: what is at hand is answered at once, the rest in a thread."""

    def __init__(self, inner: ShardReader) -> None:
        self._inner = inner

    async def get(self, key: bytes) -> bytes | None:
        import asyncio

        value: Any = self._inner._core._get_resident(key)
        return await asyncio.to_thread(self._inner.get, key) if value is NotImplemented else value

    async def close(self) -> None:
        self._inner.close()
