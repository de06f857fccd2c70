"""delta-rs through its Python package. It does not sync what it writes."""

from __future__ import annotations

import time

import pyarrow as pa
import pyarrow.compute as pc
from cases import id_sum, make_records
from deltalake import DeltaTable, write_deltalake
from systems import place
from systems.datashard_api import arrow_schema, timed_arrow


class Adapter:
    def __init__(self, directory: str):
        self.directory = directory
        self.count = 0
        self.tables: dict[str, list] = {}

    def _path(self, name: str) -> str:
        return place.uri(self.directory, name)

    def _create(self, name: str) -> None:
        DeltaTable.create(self._path(name), arrow_schema(), storage_options=place.delta_options())

    def _open(self, name: str) -> DeltaTable:
        return DeltaTable(self._path(name), storage_options=place.delta_options())

    def create(self, rows: int) -> float:
        self.count += 1
        start = time.perf_counter()
        self._create(f"created-{self.count}")
        return time.perf_counter() - start

    def _append(self, kind: str, rows: int, convert) -> float:
        key = f"{kind}-{rows}"
        if key not in self.tables:
            self._create(key)
            self.tables[key] = [self._open(key), 0]
        target, done = self.tables[key]
        records = make_records(rows, done * rows)
        prepared = records if convert else pa.Table.from_pylist(records, schema=arrow_schema())
        start = time.perf_counter()
        table = pa.Table.from_pylist(prepared, schema=arrow_schema()) if convert else prepared
        write_deltalake(target, table, mode="append")
        seconds = time.perf_counter() - start
        self.tables[key][1] += 1
        return seconds

    def append_dicts(self, rows: int) -> float:
        return self._append("dicts", rows, convert=True)

    def append_arrow(self, rows: int) -> float:
        return self._append("arrow", rows, convert=False)

    def check_append(self) -> None:
        for key, (_, done) in self.tables.items():
            rows = int(key.split("-")[1]) * done
            assert pc.sum(_arrow(self._open(key))["id"]).as_py() == id_sum(rows)

    def prepare_read(self, rows: int) -> str:
        write_deltalake(self._path("read"), pa.Table.from_pylist(make_records(rows), schema=arrow_schema()),
                        storage_options=place.delta_options())
        self.read_table = self._open("read")
        return ""

    def read_arrow(self, rows: int) -> float:
        return timed_arrow(lambda: _arrow(self._open("read")), rows)

    def read_newest(self, rows: int) -> float:
        def read() -> pa.Table:
            self.read_table.update_incremental()
            return _arrow(self.read_table)

        return timed_arrow(read, rows)

    def open_and_read(self, rows: int) -> float:
        return self.read_arrow(rows)

    def read_pandas(self, rows: int) -> float:
        start = time.perf_counter()
        result = self._open("read").to_pandas()
        seconds = time.perf_counter() - start
        assert len(result) == rows and int(result["id"].sum()) == id_sum(rows)
        return seconds

    def read_dicts(self, rows: int) -> float:
        start = time.perf_counter()
        result = _arrow(self._open("read")).to_pylist()
        seconds = time.perf_counter() - start
        assert len(result) == rows and sum(record["id"] for record in result) == id_sum(rows)
        return seconds


def _arrow(table: DeltaTable) -> pa.Table:
    return pa.table(table.to_pyarrow_table())
