"""Shard readers in SlateDB's format, and which factories are ours: those become settings of the core."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._settings import s3_fields
from ..credentials import CredentialProvider
from ..errors import ConfigValidationError
from ..sqlite_adapter import (AdaptiveSqliteReaderFactory, AsyncAdaptiveSqliteReaderFactory, AsyncSqliteRangeReaderFactory,
                              AsyncSqliteReaderFactory, SqliteRangeReaderFactory, SqliteReaderFactory)
from ..type_defs import Manifest, S3ConnectionOptions

if TYPE_CHECKING:
    from .._one_shard import AsyncShardReader, ShardReader


@dataclass(slots=True)
class SlateDbReaderFactory:
    """Opens shards in SlateDB's format. Nothing is written to the snapshot."""

    env_file: str | None = None
    credential_provider: CredentialProvider | None = None
    s3_connection_options: S3ConnectionOptions | None = None

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest | None = None) -> ShardReader:
        from .._one_shard import ShardReader

        return ShardReader(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, shard_format="slatedb", env_file=self.env_file,
                           credential_provider=self.credential_provider, s3_connection_options=self.s3_connection_options)


@dataclass(slots=True)
class AsyncSlateDbReaderFactory:
    """SlateDbReaderFactory for tasks."""

    env_file: str | None = None
    credential_provider: CredentialProvider | None = None
    s3_connection_options: S3ConnectionOptions | None = None

    async def __call__(self, **options: Any) -> AsyncShardReader:
        import asyncio

        from .._one_shard import AsyncShardReader

        inner = SlateDbReaderFactory(self.env_file, self.credential_provider, self.s3_connection_options)
        return AsyncShardReader(await asyncio.to_thread(lambda: inner(**options)))


@dataclass(slots=True)
class AnyFormatReaderFactory(SlateDbReaderFactory):
    """Opens shards in the format that they have."""

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest | None = None) -> ShardReader:
        from .._one_shard import ShardReader

        return ShardReader(db_url=db_url, local_dir=local_dir, checkpoint_id=checkpoint_id, shard_format=None, env_file=self.env_file,
                           credential_provider=self.credential_provider, s3_connection_options=self.s3_connection_options)


@dataclass(slots=True)
class AsyncAnyFormatReaderFactory(AsyncSlateDbReaderFactory):
    """AnyFormatReaderFactory for tasks."""

    async def __call__(self, **options: Any) -> AsyncShardReader:
        import asyncio

        from .._one_shard import AsyncShardReader

        inner = AnyFormatReaderFactory(self.env_file, self.credential_provider, self.s3_connection_options)
        return AsyncShardReader(await asyncio.to_thread(lambda: inner(**options)))


_ADAPTIVE = (AdaptiveSqliteReaderFactory, AsyncAdaptiveSqliteReaderFactory)
_MODES: dict[type, tuple[str, str]] = {
    SlateDbReaderFactory: ("slatedb", "auto"), AsyncSlateDbReaderFactory: ("slatedb", "auto"),
    SqliteReaderFactory: ("sqlite", "download"), AsyncSqliteReaderFactory: ("sqlite", "download"),
    SqliteRangeReaderFactory: ("sqlite", "range"), AsyncSqliteRangeReaderFactory: ("sqlite", "range"),
    AdaptiveSqliteReaderFactory: ("sqlite", "auto"), AsyncAdaptiveSqliteReaderFactory: ("sqlite", "auto"),
}


def is_ours(factory: Any) -> bool:
    return factory is None or type(factory) in _MODES


def policy_of(factory: Any) -> Any:
    """A user's policy of how SQLite shards are read; None where thresholds decide."""
    return factory.policy if type(factory) in _ADAPTIVE else None


def check_place(s3_prefix: object, local_root: object) -> None:
    if not isinstance(s3_prefix, str):
        raise ConfigValidationError(f"s3_prefix is s3://bucket/path or file:///directory, given {s3_prefix!r}")
    if not isinstance(local_root, (str, Path)):
        raise ConfigValidationError(f"local_root is a directory, given {local_root!r}")


def reader_fields(*, s3_prefix: str, local_root: str, current_pointer_key: str, factory: Any, slate_env_file: str | None,
                  credential_provider: CredentialProvider | None, s3_connection_options: S3ConnectionOptions | None,
                  max_workers: int | None, max_fallback_attempts: int) -> dict[str, Any]:
    """Fields of ShardedReaderSettings."""
    check_place(s3_prefix, local_root)
    provider = credential_provider or getattr(factory, "credential_provider", None)
    options = s3_connection_options or getattr(factory, "s3_connection_options", None)
    fields: dict[str, Any] = {
        "prefix": s3_prefix.rstrip("/"), "local_root": str(local_root), "current_key": current_pointer_key,
        "max_fallback_attempts": max_fallback_attempts, "max_workers": max_workers or 0,
        "s3": s3_fields(provider, options, slate_env_file or getattr(factory, "env_file", None))}
    if factory is not None:
        fields["shard_format"], fields["sqlite_mode"] = _MODES[type(factory)]
    if type(factory) in _ADAPTIVE:
        fields["sqlite_auto_per_shard_bytes"] = factory.per_shard_threshold
        fields["sqlite_auto_total_bytes"] = factory.total_budget
    return fields
