"""Plain Python and its sqlite3 module, one file."""

from __future__ import annotations

import os
import sqlite3
import time

from shards_data import asked, check_sum, expected_sum, pairs


class Adapter:
    def __init__(self, directory: str):
        self.path = os.path.join(directory, "python.db")
        self.rows = 0
        self.seed = 0

    def build_tuples(self, rows: int) -> float:
        data = pairs(0, rows)
        if os.path.exists(self.path):
            os.remove(self.path)
        start = time.perf_counter()
        database = sqlite3.connect(self.path, isolation_level=None)
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE kv (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID")
        database.execute("BEGIN")
        database.executemany("INSERT OR REPLACE INTO kv VALUES (?, ?)", ((key.to_bytes(8, "big"), value) for key, value in sorted(data)))
        database.execute("COMMIT")
        database.close()
        self.rows = rows
        return time.perf_counter() - start

    def prepare(self, rows: int) -> int:
        self.build_tuples(rows)
        self.database = sqlite3.connect(self.path)
        self.database.execute("PRAGMA mmap_size=2147418112")
        self.database.execute("SELECT sum(length(v)) FROM kv").fetchone()
        return os.path.getsize(self.path)

    def get(self, lookups: int) -> float:
        self.seed += 1
        keys = asked(self.rows, lookups, self.seed)
        select = self.database.execute
        start = time.perf_counter()
        found = [select("SELECT v FROM kv WHERE k = ?", (key.to_bytes(8, "big"),)).fetchone()[0] for key in keys]
        seconds = time.perf_counter() - start
        assert check_sum(found) == expected_sum(keys)
        return seconds
