"""Shards in SlateDB's format. Our writers take what is said here about the format and build many shards side by side in the core."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._one_shard import ShardAdapter
from .credentials import CredentialProvider, StaticCredentialProvider, credentials_of_env_file
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
        return DefaultSlateDbAdapter(local_dir=local_dir, db_url=db_url, env_file=self.env_file, settings=self.settings,
                                     s3_connection_options=self.s3_connection_options, credential_provider=self.credential_provider)


class DefaultSlateDbAdapter(ShardAdapter):
    """One shard by itself. `env_file` says how to reach its bucket."""

    def __init__(self, *, local_dir: Path, db_url: str, env_file: str | None = None, settings: SlateDbSettings | None = None,
                 bridge_timeouts: SlateDbBridgeTimeouts | None = None, s3_connection_options: S3ConnectionOptions | None = None,
                 credential_provider: CredentialProvider | None = None) -> None:
        from ._settings import format_fields

        if env_file is not None:
            said, options = credentials_of_env_file(env_file)
            credential_provider = credential_provider or StaticCredentialProvider(
                said.access_key_id, said.secret_access_key, said.session_token)
            s3_connection_options = s3_connection_options or options
        super().__init__(format_fields(SlateDbFactory(settings=settings)), db_url=db_url, local_dir=local_dir,
                         credential_provider=credential_provider, s3_connection_options=s3_connection_options)

    @property
    def db(self) -> None:
        """None: there is no engine to hand out."""
