"""Snapshots that tests publish and read: where they lie, and the pairs in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shardyfusion import ConcurrentShardedReader, HashShardedWriteConfig, PythonRecordInput, ShardedReader
from shardyfusion.manifest import BuildResult
from shardyfusion.reader.async_reader import AsyncShardedReader
from shardyfusion.slatedb_adapter import SlateDbFactory
from shardyfusion.sqlite_adapter import SqliteFactory
from shardyfusion.writer.python import write_hash_sharded

FORMATS = {"sqlite": SqliteFactory, "slatedb": SlateDbFactory}
PAIRS_INPUT = PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1])


@dataclass
class Place:
    """A prefix of a test's own, a directory for local copies, and what the bucket wants to know."""

    prefix: str
    local_root: str
    access: dict[str, Any] = field(default_factory=dict)

    def publish(self, pairs: Mapping[Any, bytes], *, num_dbs: int = 4, **config: Any) -> BuildResult:
        made = HashShardedWriteConfig(num_dbs=num_dbs, s3_prefix=self.prefix, **{**self.access, **config})
        return write_hash_sharded(pairs.items(), made, PAIRS_INPUT)

    def reader(self, **options: Any) -> ShardedReader:
        return ShardedReader(s3_prefix=self.prefix, local_root=self.local_root, **{**self.access, **options})

    def concurrent_reader(self, **options: Any) -> ConcurrentShardedReader:
        return ConcurrentShardedReader(s3_prefix=self.prefix, local_root=self.local_root, **{**self.access, **options})

    async def async_reader(self, **options: Any) -> AsyncShardedReader:
        return await AsyncShardedReader.open(s3_prefix=self.prefix, local_root=self.local_root, **{**self.access, **options})


def numbers(count: int) -> dict[int, bytes]:
    """0 … count-1, each with a value of its own."""
    return {key: b"value %d" % key for key in range(count)}


def run(call: Any) -> Any:
    return asyncio.run(call)
