"""Shards in SlateDB's format. Our writers take what is said here about the format and build many shards side by side in the core."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .credentials import CredentialProvider
from .type_defs import DbAdapter, S3ConnectionOptions


@dataclass(frozen=True, slots=True)
class SlateDbSettings:
    """Of SlateDB's engine. A bulk writer has no memtable and no levels, so `raw_overrides["compression_codec"]` alone has an effect:
    "snappy", "zlib", "lz4" or "zstd"."""

    flush_interval: str | None = None
    l0_sst_size_bytes: int | None = None
    default_ttl_ms: int | None = None
    raw_overrides: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SlateDbBridgeTimeouts:
    """Kept so that programs run unchanged; no call is bridged any more."""

    open_s: float | None = None
    write_s: float | None = None
    flush_s: float | None = None
    shutdown_s: float | None = None


@dataclass(slots=True)
class SlateDbFactory:
    """Makes shards in SlateDB's format; what a writer does unless told otherwise."""

    env_file: str | None = None
    settings: SlateDbSettings | None = None
    credential_provider: CredentialProvider | None = None
    bridge_timeouts: SlateDbBridgeTimeouts = field(default_factory=SlateDbBridgeTimeouts)
    s3_connection_options: S3ConnectionOptions | None = None

    def __call__(self, *, db_url: str, local_dir: Path) -> DbAdapter:
        from ._one_shard import ShardAdapter
        from ._settings import format_fields

        return ShardAdapter(format_fields(self), db_url=db_url, local_dir=local_dir, credential_provider=self.credential_provider,
                            s3_connection_options=self.s3_connection_options)


def DefaultSlateDbAdapter(*, local_dir: Path, db_url: str, env_file: str | None = None, settings: SlateDbSettings | None = None,  # noqa: N802
                          bridge_timeouts: SlateDbBridgeTimeouts | None = None) -> DbAdapter:
    """The adapter of SlateDbFactory."""
    return SlateDbFactory(env_file=env_file, settings=settings)(db_url=db_url, local_dir=local_dir)
