"""Writes the snapshot that shardyfusion 0.1.0 would write of PAIRS, below a directory that `prefix` is the URL of. See README.md."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from datetime import datetime, timezone
from pathlib import Path

NUM_DBS = 3
RUN_ID = "0123456789abcdef0123456789abcdef"
PUBLISHED = datetime(2026, 11, 21, 7, 38, 13, 884350, tzinfo=timezone.utc)
# Key → xxh3_64 of its eight little-endian bytes.
DIGESTS = {0: 14374147212387527897, 1: 3439722301264460078, 42: 15395265915043915720, 2**63 - 1: 11687913294787043142}
PAIRS = {key: f"value of {key}".encode() for key in DIGESTS}

BUILD_META = """CREATE TABLE build_meta (run_id TEXT NOT NULL, created_at TEXT NOT NULL, num_dbs INTEGER NOT NULL, s3_prefix TEXT NOT NULL,
  key_col TEXT NOT NULL, sharding TEXT NOT NULL, db_path_template TEXT NOT NULL, shard_prefix TEXT NOT NULL,
  format_version INTEGER NOT NULL, key_encoding TEXT NOT NULL, custom TEXT NOT NULL DEFAULT '{}')"""
SHARDS = """CREATE TABLE shards (db_id INTEGER NOT NULL PRIMARY KEY, db_url TEXT, attempt INTEGER NOT NULL, row_count INTEGER NOT NULL,
  db_bytes INTEGER NOT NULL, min_key TEXT, max_key TEXT, checkpoint_id TEXT, writer_info TEXT NOT NULL DEFAULT '{}')"""


def instant(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def shard_pairs() -> dict[int, dict[int, bytes]]:
    shards: dict[int, dict[int, bytes]] = {}
    for key, digest in DIGESTS.items():
        shards.setdefault(digest % NUM_DBS, {})[key] = PAIRS[key]
    return shards


def write_sqlite(directory: Path, pairs: dict[int, bytes]) -> int:
    """Rows in the order they came in, as that writer inserts them."""
    path = directory / "shard.db"
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size = 4096", "journal_mode = OFF", "synchronous = OFF", "cache_size = -2000", "locking_mode = EXCLUSIVE",
                   "temp_store = MEMORY"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE IF NOT EXISTS kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
    database.execute("BEGIN")
    database.executemany("INSERT OR REPLACE INTO kv (k, v) VALUES (?, ?)", ((key.to_bytes(8, "big"), value) for key, value in pairs.items()))
    database.execute("COMMIT")
    database.execute("PRAGMA optimize")
    database.close()
    return path.stat().st_size


async def write_slatedb(directory: Path, pairs: dict[int, bytes]) -> None:
    from slatedb.uniffi import DbBuilder, ObjectStore, WriteBatch

    database = await DbBuilder("", ObjectStore.resolve(f"file://{directory}")).build()
    batch = WriteBatch()
    for key, value in pairs.items():
        batch.put(key.to_bytes(8, "big"), value)
    await database.write(batch)
    await database.flush()
    await database.shutdown()


def write_manifest(path: Path, prefix: str, shards: list[tuple]) -> None:
    path.parent.mkdir(parents=True)
    sharding = {"strategy": "hash", "hash_algorithm": "xxh3_64", "routing_values": None, "cel_expr": None, "cel_columns": None}
    manifest = sqlite3.connect(path)
    manifest.execute(BUILD_META)
    manifest.execute(SHARDS)
    manifest.execute("INSERT INTO build_meta VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (
        RUN_ID, instant(PUBLISHED), NUM_DBS, prefix, "_key", json.dumps(sharding), "db={db_id:05d}", "shards", 4, "u64be", "{}"))
    manifest.executemany("INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", shards)
    manifest.commit()
    manifest.close()


def make(backend: str, prefix: str, directory: Path) -> None:
    rows = []
    for db_id, pairs in sorted(shard_pairs().items()):
        below = f"shards/run_id={RUN_ID}/db={db_id:05d}/attempt=00"
        (directory / below).mkdir(parents=True)
        size = 0
        if backend == "sqlite":
            size = write_sqlite(directory / below, pairs)
        else:
            asyncio.run(write_slatedb(directory / below, pairs))
        info = {"attempt": 0, "duration_ms": 0, "stage_id": None, "task_attempt_id": None}
        rows.append((db_id, f"{prefix}/{below}", 0, len(pairs), size, json.dumps(min(pairs)), json.dumps(max(pairs)), "ab" * 16, json.dumps(info)))
    name = f"manifests/{instant(PUBLISHED)}_run_id={RUN_ID}/manifest"
    write_manifest(directory / name, prefix, rows)
    pointer = {"format_version": 1, "manifest_content_type": "application/x-sqlite3", "manifest_ref": f"{prefix}/{name}", "run_id": RUN_ID,
               "updated_at": "2026-11-21T07:38:13.893210Z"}
    (directory / "_CURRENT").write_text(json.dumps(pointer, sort_keys=True, separators=(",", ":")))


if __name__ == "__main__":
    make(sys.argv[1], sys.argv[2].rstrip("/"), Path(sys.argv[3]))
