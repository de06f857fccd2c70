"""Sharded snapshots of this project: eight hash shards in the format that SHARDS_BENCH_FORMAT names."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import threading
import time

from shards_data import arrow_batch, asked, check_sum, expected_sum, pairs
from shardyfusion import (
    AsyncShardedReader, ColumnWriteInput, ConcurrentShardedReader, HashShardedWriteConfig, PythonRecordInput, SlateDbFactory, ValueSpec)
from shardyfusion.sqlite_adapter import SqliteFactory
from shardyfusion.writer.python import write_hash_sharded
from systems.shards.native import checked, load

SHARDS = 8
MULTI = 1_000


class Adapter:
    def __init__(self, directory: str):
        self.format = os.environ["SHARDS_BENCH_FORMAT"]
        self.directory = os.path.join(directory, "ours-" + self.format)
        self.native = load()
        self.rows = 0
        self.seed = 0

    def _config(self, shards: int = SHARDS) -> HashShardedWriteConfig:
        shutil.rmtree(self.directory, ignore_errors=True)
        factory = SqliteFactory(emit_sidecar=False) if self.format == "sqlite" else SlateDbFactory()
        return HashShardedWriteConfig(num_dbs=shards, s3_prefix=f"file://{self.directory}", adapter_factory=factory)

    def _built(self, start: float, rows: int, written: int) -> float:
        seconds = time.perf_counter() - start
        assert written == rows
        self.rows = rows
        return seconds

    def build_arrow(self, rows: int) -> float:
        import pyarrow as pa

        table = pa.Table.from_batches([arrow_batch(first, min(100_000, rows - first)) for first in range(0, rows, 100_000)])
        config = self._config()
        start = time.perf_counter()
        result = write_hash_sharded(table, config, ColumnWriteInput(key_col="key", value_spec=ValueSpec.binary_col("value")))
        return self._built(start, rows, result.stats.rows_written)

    def build_tuples(self, rows: int) -> float:
        data = pairs(0, rows)
        config = self._config()
        start = time.perf_counter()
        result = write_hash_sharded(data, config, PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1]))
        return self._built(start, rows, result.stats.rows_written)

    def build_stream(self, rows: int) -> int:
        """Peak memory of a build from a stream of batches in no order, above what the process had before: bytes."""
        import pyarrow as pa

        batch = 100_000
        stream = pa.RecordBatchReader.from_batches(arrow_batch(0, 1).schema,
                                                   (arrow_batch(first, min(batch, rows - first)) for first in range(0, rows, batch)))
        config = self._config()
        arrow_batch(0, batch)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        result = write_hash_sharded(stream, config, ColumnWriteInput(key_col="key", value_spec=ValueSpec.binary_col("value")))
        assert result.stats.rows_written == rows
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024

    def prepare(self, rows: int) -> int:
        """Builds and opens; the bytes stored."""
        self.build_arrow(rows)
        self.reader = ConcurrentShardedReader(s3_prefix=f"file://{self.directory}", local_root=self.directory + "-local")
        self.handle = self.native.reader_open(f"file://{self.directory}".encode(), (self.directory + "-local").encode())
        assert self.handle
        self.loop = asyncio.new_event_loop()
        self.async_reader = self.loop.run_until_complete(
            AsyncShardedReader.open(s3_prefix=f"file://{self.directory}", local_root=self.directory + "-local"))
        self.get(200_000)
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(self.directory) for name in names)

    def _asked(self, lookups: int) -> list[int]:
        self.seed += 1
        return asked(self.rows, lookups, self.seed)

    def get(self, lookups: int) -> float:
        keys = self._asked(lookups)
        get = self.reader.get
        start = time.perf_counter()
        found = [get(key) for key in keys]
        seconds = time.perf_counter() - start
        assert check_sum(found) == expected_sum(keys)
        return seconds

    def get_two_threads(self, lookups: int) -> float:
        """Half of them by each of two threads."""
        keys = self._asked(lookups)
        halves, found = [keys[::2], keys[1::2]], [[], []]

        def look(i: int) -> None:
            get = self.reader.get
            found[i] = [get(key) for key in halves[i]]

        threads = [threading.Thread(target=look, args=(i,)) for i in (0, 1)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        assert check_sum(found[0] + found[1]) == expected_sum(keys)
        return seconds

    def multi_get(self, lookups: int) -> float:
        keys = self._asked(lookups)
        groups = [keys[first:first + MULTI] for first in range(0, lookups, MULTI)]
        start = time.perf_counter()
        found = [self.reader.multi_get(group) for group in groups]
        seconds = time.perf_counter() - start
        assert check_sum([values[key] for group, values in zip(groups, found) for key in group]) == expected_sum(keys)
        return seconds

    async def _get_all(self, keys: list[int]) -> list[bytes]:
        get = self.async_reader.get
        return [await get(key) for key in keys]

    def async_get(self, lookups: int) -> float:
        keys = self._asked(lookups)
        start = time.perf_counter()
        found = self.loop.run_until_complete(self._get_all(keys))
        seconds = time.perf_counter() - start
        assert check_sum(found) == expected_sum(keys)
        return seconds

    def cpp_get(self, lookups: int) -> float:
        self.seed += 1
        return checked(self.native.reader_lookup(self.handle, self.rows, lookups, 1, self.seed))

    def cpp_get_two_threads(self, lookups: int) -> float:
        """Half of them by each of two threads."""
        self.seed += 1
        return checked(self.native.reader_lookup(self.handle, self.rows, lookups // 2, 2, self.seed))

    def open_many_shards(self, shards: int) -> float:
        """CPU seconds of opening a snapshot of so many shards and one lookup."""
        config = self._config(shards)
        data = pairs(0, shards * 4)
        write_hash_sharded(data, config, PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1]))
        return checked(self.native.reader_open_cpu(f"file://{self.directory}".encode(), (self.directory + "-local").encode(), data[5][0]))
