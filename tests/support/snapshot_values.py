"""Builds and shards for tests of manifests, complete and valid, to change one field of."""

from __future__ import annotations

from datetime import datetime, timezone

from shardyfusion.manifest import ManifestShardingSpec, RequiredBuildMeta, RequiredShardMeta, WriterInfo

CREATED = datetime(2026, 11, 21, 7, 38, 13, 884350, tzinfo=timezone.utc)


def build_meta(run_id="0f3c", num_dbs=2, *, created_at=CREATED, key_encoding="u64be", **sharding):
    return RequiredBuildMeta(
        run_id=run_id, created_at=created_at, num_dbs=num_dbs, s3_prefix="s3://b/p", key_col="_key",
        sharding=ManifestShardingSpec(**{"strategy": "hash", "hash_algorithm": "xxh3_64", **sharding}),
        db_path_template="db={db_id:05d}", shard_prefix="shards", key_encoding=key_encoding)


def shard_meta(db_id, run_id="0f3c", *, min_key=4, max_key=9, **more):
    return RequiredShardMeta(**{
        "db_id": db_id, "db_url": f"s3://b/p/shards/run_id={run_id}/db={db_id:05d}/attempt=00", "attempt": 0, "row_count": 2,
        "db_bytes": 8192, "min_key": min_key, "max_key": max_key, "checkpoint_id": f"{db_id:032x}", "writer_info": WriterInfo(),
        **more})
