"""Shards that are SQLite files: how they are built, and how readers get at them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from . import _core
from ._one_shard import AsyncShardReader, ShardAdapter, ShardReader
from .credentials import CredentialProvider
from .errors import ConfigValidationError, DbAdapterError, ShardyfusionError
from .logging import FailureSeverity, get_logger, log_failure
from .storage import StorageBackend
from .type_defs import Manifest, S3ConnectionOptions

DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES = 16 * 1024 * 1024
DEFAULT_AUTO_TOTAL_BUDGET_BYTES = 2 * 1024 * 1024 * 1024

PageSizeMode: TypeAlias = "int | Literal['auto']"
AccessMode: TypeAlias = Literal["download", "range"]

_logger = get_logger("sqlite_adapter")


class SqliteAdapterError(ShardyfusionError):
    """Kept for programs that catch it; our shards raise DbAdapterError."""


class SidecarUnavailableError(SqliteAdapterError):
    """There is no sidecar for this file."""


SIDECAR_NAME = "shard.sidecar"
SIDECAR_CONTENT_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class BuiltSidecar:
    """The sidecar of a database, but for what ties it to one uploaded object. body_size: bytes of what is in `frame`."""

    frame: bytes
    body_size: int
    page_size: int


def build_sidecar_frame(db_path: Path, *, db_bytes: bytes | None = None) -> BuiltSidecar:
    """The inner pages of a shard's tree and the chains of large rows. db_bytes: the file's, where they are at hand.

    Raises: SidecarUnavailableError: the file is no shard's database, or none that has a sidecar.
    """
    try:
        return BuiltSidecar(*_core.sidecar_frame(Path(db_path).read_bytes() if db_bytes is None else bytes(db_bytes)))
    except (DbAdapterError, ConfigValidationError) as error:
        raise SidecarUnavailableError(str(error)) from error


def frame_to_sidecar(frame: bytes, db_tag: str | None = None, body_size: int | None = None, page_size: int | None = None) -> bytes:
    """The object shard.sidecar. db_tag: the ETag of the uploaded database, with its quotes; without one readers decline the sidecar."""
    if body_size is None or page_size is None:
        raise SidecarUnavailableError("a frame alone does not say its size and that of its pages; pass those of BuiltSidecar")
    return _core.sidecar(frame, body_size, page_size, db_tag or "")  # type: ignore[no-any-return]


def extract_sidecar(db_path: Path, *, db_bytes: bytes | None = None, db_tag: str | None = None) -> bytes:
    """The object shard.sidecar of a database. Raises: as build_sidecar_frame."""
    built = build_sidecar_frame(db_path, db_bytes=db_bytes)
    return frame_to_sidecar(built.frame, db_tag, built.body_size, built.page_size)


def maybe_upload_sidecar(*, backend: StorageBackend, db_url: str, db_path: Path, db_bytes: bytes, db_tag: str | None = None,
                         built: BuiltSidecar | None = None) -> None:
    """Uploads the sidecar of the database at `db_url`, if `db_tag`, the database's ETag, is known. What keeps it from that is logged:
    readers do without."""
    try:
        if db_tag is None:
            raise SidecarUnavailableError("the database's ETag is not known; a sidecar has to name it")
        built = built or build_sidecar_frame(db_path, db_bytes=db_bytes)
        payload = frame_to_sidecar(built.frame, db_tag, built.body_size, built.page_size)
        backend.put(f"{db_url}/{SIDECAR_NAME}", payload, SIDECAR_CONTENT_TYPE)
    except Exception as error:  # noqa: BLE001
        log_failure("sqlite_adapter_sidecar_skipped", severity=FailureSeverity.TRANSIENT, error=error, logger=_logger, db_url=db_url)


@dataclass(slots=True)
class SqliteFactory:
    """Makes shards that are SQLite files. page_size "auto": chosen from the sizes of keys and values. emit_sidecar: also
    `shard.sidecar`, for consumers that fetch pages by ranges. `cache_size_pages` is without effect: pages are written in order."""

    page_size: PageSizeMode = 4096
    cache_size_pages: int = -2000
    s3_connection_options: S3ConnectionOptions | None = None
    credential_provider: CredentialProvider | None = None
    emit_sidecar: bool = True

    def __call__(self, *, db_url: str, local_dir: Path) -> SqliteAdapter:
        return SqliteAdapter(db_url=db_url, local_dir=local_dir, page_size=self.page_size, cache_size_pages=self.cache_size_pages,
                             s3_connection_options=self.s3_connection_options, credential_provider=self.credential_provider,
                             emit_sidecar=self.emit_sidecar)

    def vec_payload_bytes_in_kv_db(self) -> int:
        """Vectors are never in these shards."""
        return 0


class SqliteAdapter(ShardAdapter):
    """One shard by itself; without a sidecar, which only whole builds write."""

    def __init__(self, *, db_url: str, local_dir: Path, page_size: PageSizeMode = 4096, cache_size_pages: int = -2000,
                 s3_connection_options: S3ConnectionOptions | None = None, credential_provider: CredentialProvider | None = None,
                 emit_sidecar: bool = True) -> None:
        fields = {"format": "sqlite", "sqlite_page_size": 0 if page_size == "auto" else page_size}
        super().__init__(fields, db_url=db_url, local_dir=local_dir, credential_provider=credential_provider,
                         s3_connection_options=s3_connection_options)

    def sidecar_decompressed_bytes(self) -> int | None:
        """None: there is no sidecar."""
        return None


class SqliteAccessPolicy(Protocol):
    """Says, from the sizes in a manifest, whether shards are downloaded or read by ranges."""

    def decide(self, db_bytes_per_shard: Sequence[int]) -> AccessMode: ...


def decide_access_mode(*, db_bytes_per_shard: Sequence[int], per_shard_threshold: int = DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
                       total_budget: int = DEFAULT_AUTO_TOTAL_BUDGET_BYTES) -> AccessMode:
    """"range" from one shard of `per_shard_threshold` bytes on, or from a sum of `total_budget` on."""
    large = any(size >= per_shard_threshold for size in db_bytes_per_shard) or sum(db_bytes_per_shard) >= total_budget
    return "range" if large else "download"


@dataclass(frozen=True, slots=True)
class _ThresholdPolicy:
    per_shard_threshold: int
    total_budget: int

    def decide(self, db_bytes_per_shard: Sequence[int]) -> AccessMode:
        return decide_access_mode(db_bytes_per_shard=db_bytes_per_shard, per_shard_threshold=self.per_shard_threshold,
                                  total_budget=self.total_budget)


def make_threshold_policy(*, per_shard_threshold: int = DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
                          total_budget: int = DEFAULT_AUTO_TOTAL_BUDGET_BYTES) -> SqliteAccessPolicy:
    return _ThresholdPolicy(per_shard_threshold, total_budget)


class SqliteShardReader(ShardReader):
    """One shard, downloaded and mapped."""

    def __init__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, mmap_size: int = 268435456,
                 s3_connection_options: S3ConnectionOptions | None = None,
                 credential_provider: CredentialProvider | None = None) -> None:
        super().__init__(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, shard_format="sqlite", sqlite_mode="download",
                         credential_provider=credential_provider, s3_connection_options=s3_connection_options)


class SqliteRangeShardReader(ShardReader):
    """One shard, read by ranges; `page_cache_pages` of its pages are kept."""

    def __init__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, page_cache_pages: int = 1024,
                 s3_connection_options: S3ConnectionOptions | None = None,
                 credential_provider: CredentialProvider | None = None) -> None:
        super().__init__(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, shard_format="sqlite", sqlite_mode="range",
                         block_cache_bytes=page_cache_pages * 4096, credential_provider=credential_provider,
                         s3_connection_options=s3_connection_options)


class AsyncSqliteShardReader(AsyncShardReader):
    """SqliteShardReader for tasks."""


class AsyncSqliteRangeShardReader(AsyncShardReader):
    """SqliteRangeShardReader for tasks."""


@dataclass(slots=True)
class SqliteReaderFactory:
    """Downloads whole files and maps them. All of a file is mapped; `mmap_size` is without effect."""

    mmap_size: int = 268435456
    s3_connection_options: S3ConnectionOptions | None = None
    credential_provider: CredentialProvider | None = None

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest | None = None) -> ShardReader:
        return SqliteShardReader(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, mmap_size=self.mmap_size,
                                 s3_connection_options=self.s3_connection_options, credential_provider=self.credential_provider)


@dataclass(slots=True)
class SqliteRangeReaderFactory:
    """Fetches pages by ranges and keeps `page_cache_pages` of them for each shard."""

    page_cache_pages: int = 1024
    s3_connection_options: S3ConnectionOptions | None = None
    credential_provider: CredentialProvider | None = None

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest | None = None) -> ShardReader:
        return SqliteRangeShardReader(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id,
                                      page_cache_pages=self.page_cache_pages, s3_connection_options=self.s3_connection_options,
                                      credential_provider=self.credential_provider)


class AdaptiveSqliteReaderFactory:
    """Downloads or reads by ranges, as `policy`, or else the two thresholds, say."""

    def __init__(self, *, policy: SqliteAccessPolicy | None = None, per_shard_threshold: int = DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
                 total_budget: int = DEFAULT_AUTO_TOTAL_BUDGET_BYTES, mmap_size: int = 268435456, page_cache_pages: int = 1024,
                 s3_connection_options: S3ConnectionOptions | None = None, credential_provider: CredentialProvider | None = None) -> None:
        self.policy = policy
        self.per_shard_threshold = per_shard_threshold
        self.total_budget = total_budget
        self.mmap_size = mmap_size
        self.page_cache_pages = page_cache_pages
        self.s3_connection_options = s3_connection_options
        self.credential_provider = credential_provider

    def _factory(self, manifest: Manifest) -> SqliteReaderFactory | SqliteRangeReaderFactory:
        policy = self.policy or make_threshold_policy(per_shard_threshold=self.per_shard_threshold, total_budget=self.total_budget)
        mode = policy.decide([shard.db_bytes for shard in manifest.shards if shard.db_url is not None])
        return make_sqlite_reader_factory(mode=mode, mmap_size=self.mmap_size, page_cache_pages=self.page_cache_pages,
                                          s3_connection_options=self.s3_connection_options, credential_provider=self.credential_provider)

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest) -> ShardReader:
        return self._factory(manifest)(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, manifest=manifest)


def make_sqlite_reader_factory(*, mode: AccessMode, mmap_size: int = 268435456, page_cache_pages: int = 1024,
                               s3_connection_options: S3ConnectionOptions | None = None,
                               credential_provider: CredentialProvider | None = None) -> SqliteReaderFactory | SqliteRangeReaderFactory:
    if mode == "download":
        return SqliteReaderFactory(mmap_size, s3_connection_options, credential_provider)
    if mode == "range":
        return SqliteRangeReaderFactory(page_cache_pages, s3_connection_options, credential_provider)
    raise ValueError(f"mode is 'download' or 'range', given {mode!r}")


async def _in_a_thread(open_shard: Callable[..., ShardReader], options: dict[str, Any]) -> AsyncShardReader:
    import asyncio

    inner = await asyncio.to_thread(lambda: open_shard(**options))
    return AsyncSqliteRangeShardReader(inner) if isinstance(inner, SqliteRangeShardReader) else AsyncSqliteShardReader(inner)


@dataclass(slots=True)
class AsyncSqliteReaderFactory(SqliteReaderFactory):
    """SqliteReaderFactory for tasks."""

    async def __call__(self, **options: Any) -> AsyncShardReader:  # type: ignore[override]
        return await _in_a_thread(SqliteReaderFactory(self.mmap_size, self.s3_connection_options, self.credential_provider), options)


@dataclass(slots=True)
class AsyncSqliteRangeReaderFactory(SqliteRangeReaderFactory):
    """SqliteRangeReaderFactory for tasks."""

    async def __call__(self, **options: Any) -> AsyncShardReader:  # type: ignore[override]
        inner = SqliteRangeReaderFactory(self.page_cache_pages, self.s3_connection_options, self.credential_provider)
        return await _in_a_thread(inner, options)


class AsyncAdaptiveSqliteReaderFactory(AdaptiveSqliteReaderFactory):
    """AdaptiveSqliteReaderFactory for tasks."""

    async def __call__(self, *, manifest: Manifest, **options: Any) -> AsyncShardReader:  # type: ignore[override]
        return await _in_a_thread(self._factory(manifest), {**options, "manifest": manifest})


def make_async_sqlite_reader_factory(*, mode: AccessMode, mmap_size: int = 268435456, page_cache_pages: int = 1024,
                                     s3_connection_options: S3ConnectionOptions | None = None,
                                     credential_provider: CredentialProvider | None = None,
                                     ) -> AsyncSqliteReaderFactory | AsyncSqliteRangeReaderFactory:
    if mode == "download":
        return AsyncSqliteReaderFactory(mmap_size, s3_connection_options, credential_provider)
    if mode == "range":
        return AsyncSqliteRangeReaderFactory(page_cache_pages, s3_connection_options, credential_provider)
    raise ValueError(f"mode is 'download' or 'range', given {mode!r}")
