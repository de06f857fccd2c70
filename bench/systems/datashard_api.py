"""The `datashard` package: this project's, or the released one, by the environment the worker runs in."""

from __future__ import annotations

import os
import time

import datashard
from cases import SCHEMA_FIELDS, id_sum, make_records
from systems import place


class Adapter:
    def __init__(self, directory: str):
        self.directory = directory
        self.schema = datashard.Schema(schema_id=1, fields=SCHEMA_FIELDS)
        self.count = 0
        self.tables = {}

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def create(self, rows: int) -> float:
        self.count += 1
        path = self._path(f"created-{self.count}")
        start = time.perf_counter()
        datashard.create_table(path, self.schema)
        return time.perf_counter() - start

    def _table(self, rows: int, kind: str):
        key = f"{kind}-{rows}"
        if key not in self.tables:
            self.tables[key] = (datashard.create_table(self._path(key), self.schema), [0])
        return self.tables[key]

    def append_dicts(self, rows: int) -> float:
        table, done = self._table(rows, "dicts")
        records = make_records(rows, done[0] * rows)
        start = time.perf_counter()
        assert table.append_records(records, self.schema)
        seconds = time.perf_counter() - start
        done[0] += 1
        return seconds

    def append_arrow(self, rows: int) -> float:
        import pyarrow as pa

        table, done = self._table(rows, "arrow")
        columns = pa.Table.from_pylist(make_records(rows, done[0] * rows)).cast(arrow_schema())
        start = time.perf_counter()
        assert table.append_arrow(columns)
        seconds = time.perf_counter() - start
        done[0] += 1
        return seconds

    def check_append(self) -> None:
        for key, (table, done) in self.tables.items():
            rows = int(key.split("-")[1]) * done[0]
            assert table.row_count() == rows, f"{key}: {table.row_count()} rows, expected {rows}"
            total = sum(record["id"] for record in table.scan(columns=["id"]))
            assert total == id_sum(rows), f"{key}: ids sum to {total}"

    def prepare_read(self, rows: int) -> str:
        """Writes the table and returns the path of its only data file, if that is local."""
        self.read_table = datashard.create_table(self._path("read"), self.schema)
        self.read_table.append_records(make_records(rows), self.schema)
        if place.in_bucket():
            return ""
        folder = self._path("read/data")
        return os.path.join(folder, sorted(os.listdir(folder))[0])

    def read_arrow(self, rows: int) -> float:
        return timed_arrow(self.read_table.to_arrow, rows)

    def read_newest(self, rows: int) -> float:
        return self.read_arrow(rows)

    def open_and_read(self, rows: int) -> float:
        return timed_arrow(lambda: datashard.load_table(self._path("read")).to_arrow(), rows)

    def read_pandas(self, rows: int) -> float:
        start = time.perf_counter()
        result = self.read_table.to_pandas()
        seconds = time.perf_counter() - start
        assert len(result) == rows and int(result["id"].sum()) == id_sum(rows)
        return seconds

    def read_dicts(self, rows: int) -> float:
        start = time.perf_counter()
        result = self.read_table.scan()
        seconds = time.perf_counter() - start
        assert len(result) == rows and sum(record["id"] for record in result) == id_sum(rows)
        return seconds


def arrow_schema():
    import pyarrow as pa

    return pa.schema([
        pa.field("id", pa.int64(), nullable=False),
        pa.field("user", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("amount", pa.float64()),
        pa.field("started_at", pa.int64(), nullable=False),
    ])


def timed_arrow(read, rows: int) -> float:
    """Seconds of `read()`, whose answer must be the `rows` records of make_records."""
    start = time.perf_counter()
    result = read()
    seconds = time.perf_counter() - start
    import pyarrow.compute as pc

    assert result.num_rows == rows and pc.sum(result["id"]).as_py() == id_sum(rows)
    return seconds
