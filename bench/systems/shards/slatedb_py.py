"""The engine whose files we write, from PyPI, with its own Python face: one database."""

from __future__ import annotations

import asyncio
import os
import shutil
import time

from shards_data import asked, check_sum, expected_sum, pairs
from slatedb.uniffi import DbBuilder, DbReaderBuilder, ObjectStore, WriteBatch

BATCH = 10_000


class Adapter:
    def __init__(self, directory: str):
        self.directory = os.path.join(directory, "slatedb")
        self.loop = asyncio.new_event_loop()
        self.rows = 0
        self.seed = 0

    def _store(self) -> ObjectStore:
        os.makedirs(self.directory, exist_ok=True)
        return ObjectStore.resolve(f"file://{self.directory}")

    async def _write(self, data: list[tuple[int, bytes]]) -> None:
        database = await DbBuilder("", self._store()).build()
        for first in range(0, len(data), BATCH):
            batch = WriteBatch()
            for key, value in data[first:first + BATCH]:
                batch.put(key.to_bytes(8, "big"), value)
            await database.write(batch)
        await database.flush()
        await database.shutdown()

    def build_tuples(self, rows: int) -> float:
        data = pairs(0, rows)
        shutil.rmtree(self.directory, ignore_errors=True)
        start = time.perf_counter()
        self.loop.run_until_complete(self._write(data))
        self.rows = rows
        return time.perf_counter() - start

    def prepare(self, rows: int) -> int:
        self.build_tuples(rows)
        self.reader = self.loop.run_until_complete(DbReaderBuilder("", self._store()).build())
        self.get(20_000)
        return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(self.directory) for name in names)

    async def _get(self, keys: list[int]) -> list[bytes]:
        return [await self.reader.get(key.to_bytes(8, "big")) for key in keys]

    def get(self, lookups: int) -> float:
        self.seed += 1
        keys = asked(self.rows, lookups, self.seed)
        start = time.perf_counter()
        found = self.loop.run_until_complete(self._get(keys))
        seconds = time.perf_counter() - start
        assert check_sum(found) == expected_sum(keys)
        return seconds

    async_get = get
