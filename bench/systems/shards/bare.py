"""No snapshot at all: loops in C over the SQLite library, one sorted file."""

from __future__ import annotations

import os

from systems.shards.native import checked, load


class Adapter:
    def __init__(self, directory: str):
        self.native = load()
        self.path = os.path.join(directory, "bare.db")
        self.rows = 0
        self.seed = 0

    def _insert(self, rows: int, pack: bool) -> float:
        if os.path.exists(self.path):
            os.remove(self.path)
        self.rows = rows
        return checked(self.native.bare_insert(self.path.encode(), rows, int(pack)))

    def build_sorted(self, rows: int) -> float:
        return self._insert(rows, False)

    def build_packed(self, rows: int) -> float:
        return self._insert(rows, True)

    def prepare(self, rows: int) -> int:
        self._insert(rows, True)
        return os.path.getsize(self.path)

    def get(self, lookups: int) -> float:
        self.seed += 1
        return checked(self.native.bare_lookup(self.path.encode(), self.rows, lookups, self.seed))
