"""What readers say about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ..manifest import ParsedManifest
from ..sharding_types import KeyEncoding, KeyInput, ShardHashAlgorithm, ShardingStrategy


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """The snapshot that is read. `row_count`: pairs of all shards."""

    run_id: str
    num_dbs: int
    sharding: ShardingStrategy
    created_at: datetime
    manifest_ref: str
    row_count: int
    key_encoding: KeyEncoding
    hash_algorithm: ShardHashAlgorithm


@dataclass(frozen=True, slots=True)
class ShardDetail:
    db_id: int
    row_count: int
    min_key: KeyInput | None
    max_key: KeyInput | None
    db_url: str | None


@dataclass(frozen=True, slots=True)
class ReaderHealth:
    """`manifest_age` is the time since the manifest was published. closed: unhealthy; older than the threshold: degraded."""

    status: Literal["healthy", "degraded", "unhealthy"]
    manifest_ref: str
    manifest_age: timedelta
    num_shards: int
    is_closed: bool


def info_of(manifest: ParsedManifest, ref: str) -> SnapshotInfo:
    build = manifest.required_build
    return SnapshotInfo(build.run_id, build.num_dbs, build.sharding.strategy, build.created_at, ref,
                        sum(shard.row_count for shard in manifest.shards), build.key_encoding, build.sharding.hash_algorithm)
