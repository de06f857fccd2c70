"""No table at all: pyarrow writes and syncs one Parquet file, or reads the very file a table wrote."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cases import id_sum, make_records
from systems.datashard_api import arrow_schema, timed_arrow


class Adapter:
    def __init__(self, directory: str):
        self.directory = directory
        self.count = 0
        self.written = []

    def _write(self, table: pa.Table) -> None:
        self.count += 1
        path = os.path.join(self.directory, f"{self.count}.parquet")
        with open(path, "wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.directory, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        self.written.append((path, table.num_rows))

    def append_dicts(self, rows: int) -> float:
        records = make_records(rows)
        start = time.perf_counter()
        self._write(pa.Table.from_pylist(records, schema=arrow_schema()))
        return time.perf_counter() - start

    def append_arrow(self, rows: int) -> float:
        table = pa.Table.from_pylist(make_records(rows), schema=arrow_schema())
        start = time.perf_counter()
        self._write(table)
        return time.perf_counter() - start

    def check_append(self) -> None:
        for path, rows in self.written:
            assert pc.sum(pq.read_table(path)["id"]).as_py() == id_sum(rows)

    def use_file(self, path: str) -> None:
        self.path = path

    def read_arrow(self, rows: int) -> float:
        return timed_arrow(lambda: pq.read_table(self.path, partitioning=None), rows)

    def read_pandas(self, rows: int) -> float:
        start = time.perf_counter()
        result = pq.read_table(self.path, partitioning=None).to_pandas()
        seconds = time.perf_counter() - start
        assert len(result) == rows and int(result["id"].sum()) == id_sum(rows)
        return seconds

    def read_dicts(self, rows: int) -> float:
        start = time.perf_counter()
        result = pq.read_table(self.path, partitioning=None).to_pylist()
        seconds = time.perf_counter() - start
        assert len(result) == rows and sum(record["id"] for record in result) == id_sum(rows)
        return seconds
