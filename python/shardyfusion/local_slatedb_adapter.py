"""Shards in SlateDB's format that are built on this machine and then uploaded: as all our shards are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .credentials import CredentialProvider
from .slatedb_adapter import SlateDbBridgeTimeouts, SlateDbFactory, SlateDbSettings
from .type_defs import DbAdapter, S3ConnectionOptions


@dataclass(slots=True)
class LocalSlateDbFactory(SlateDbFactory):
    """The same as SlateDbFactory."""


def LocalSlateDbAdapter(*, db_url: str, local_dir: Path, env_file: str | None = None, settings: SlateDbSettings | None = None,  # noqa: N802
                        bridge_timeouts: SlateDbBridgeTimeouts | None = None, s3_connection_options: S3ConnectionOptions | None = None,
                        credential_provider: CredentialProvider | None = None) -> DbAdapter:
    """The adapter of LocalSlateDbFactory."""
    factory = LocalSlateDbFactory(env_file, settings, credential_provider, s3_connection_options=s3_connection_options)
    return factory(db_url=db_url, local_dir=local_dir)
