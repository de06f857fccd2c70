"""delta-rs through its Python package. It does not sync what it writes."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pyarrow.compute as pc
from cases import id_sum, make_records
from deltalake import DeltaTable, write_deltalake
from systems.datashard_api import arrow_schema


class Adapter:
    def __init__(self, directory: str):
        self.directory = directory
        self.count = 0
        self.tables: dict[str, int] = {}

    def _path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def create(self, rows: int) -> float:
        self.count += 1
        start = time.perf_counter()
        DeltaTable.create(self._path(f"created-{self.count}"), arrow_schema())
        return time.perf_counter() - start

    def _append(self, kind: str, rows: int, convert) -> float:
        key = f"{kind}-{rows}"
        if key not in self.tables:
            DeltaTable.create(self._path(key), arrow_schema())
            self.tables[key] = 0
        records = make_records(rows, self.tables[key] * rows)
        prepared = records if convert else pa.Table.from_pylist(records, schema=arrow_schema())
        start = time.perf_counter()
        table = pa.Table.from_pylist(prepared, schema=arrow_schema()) if convert else prepared
        write_deltalake(self._path(key), table, mode="append")
        seconds = time.perf_counter() - start
        self.tables[key] += 1
        return seconds

    def append_dicts(self, rows: int) -> float:
        return self._append("dicts", rows, convert=True)

    def append_arrow(self, rows: int) -> float:
        return self._append("arrow", rows, convert=False)

    def check_append(self) -> None:
        for key, done in self.tables.items():
            rows = int(key.split("-")[1]) * done
            assert pc.sum(_arrow(DeltaTable(self._path(key)))["id"]).as_py() == id_sum(rows)

    def prepare_read(self, rows: int) -> str:
        write_deltalake(self._path("read"), pa.Table.from_pylist(make_records(rows), schema=arrow_schema()))
        return ""

    def read_arrow(self, rows: int) -> float:
        start = time.perf_counter()
        result = _arrow(DeltaTable(self._path("read")))
        seconds = time.perf_counter() - start
        assert result.num_rows == rows and pc.sum(result["id"]).as_py() == id_sum(rows)
        return seconds

    def read_pandas(self, rows: int) -> float:
        start = time.perf_counter()
        result = DeltaTable(self._path("read")).to_pandas()
        seconds = time.perf_counter() - start
        assert len(result) == rows and int(result["id"].sum()) == id_sum(rows)
        return seconds

    def read_dicts(self, rows: int) -> float:
        start = time.perf_counter()
        result = _arrow(DeltaTable(self._path("read"))).to_pylist()
        seconds = time.perf_counter() - start
        assert len(result) == rows and sum(record["id"] for record in result) == id_sum(rows)
        return seconds


def _arrow(table: DeltaTable) -> pa.Table:
    return pa.table(table.to_pyarrow_table())
