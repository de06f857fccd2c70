"""PyIceberg over an SQL catalog in SQLite. It does not sync what it writes."""

from __future__ import annotations

import os
import time

import pyarrow as pa
import pyarrow.compute as pc
from cases import id_sum, make_records
from pyiceberg.catalog.sql import SqlCatalog
from systems import place
from systems.datashard_api import arrow_schema, timed_arrow


class Adapter:
    def __init__(self, directory: str):
        os.makedirs(directory, exist_ok=True)
        self.catalog = SqlCatalog("bench", **place.iceberg_properties(directory))
        self.catalog.create_namespace("bench")
        self.count = 0
        self.tables: dict[str, list] = {}

    def create(self, rows: int) -> float:
        self.count += 1
        start = time.perf_counter()
        self.catalog.create_table(f"bench.created{self.count}", arrow_schema())
        return time.perf_counter() - start

    def _append(self, kind: str, rows: int, convert) -> float:
        key = f"{kind}_{rows}"
        if key not in self.tables:
            self.tables[key] = [self.catalog.create_table(f"bench.{key}", arrow_schema()), 0]
        table, done = self.tables[key]
        records = make_records(rows, done * rows)
        prepared = records if convert else pa.Table.from_pylist(records, schema=arrow_schema())
        start = time.perf_counter()
        table.append(pa.Table.from_pylist(prepared, schema=arrow_schema()) if convert else prepared)
        seconds = time.perf_counter() - start
        self.tables[key][1] += 1
        return seconds

    def append_dicts(self, rows: int) -> float:
        return self._append("dicts", rows, convert=True)

    def append_arrow(self, rows: int) -> float:
        return self._append("arrow", rows, convert=False)

    def check_append(self) -> None:
        for key, (table, done) in self.tables.items():
            rows = int(key.split("_")[1]) * done
            assert pc.sum(table.scan().to_arrow()["id"]).as_py() == id_sum(rows)

    def prepare_read(self, rows: int) -> str:
        self.read_table = self.catalog.create_table("bench.read", arrow_schema())
        self.read_table.append(pa.Table.from_pylist(make_records(rows), schema=arrow_schema()))
        return ""

    def read_arrow(self, rows: int) -> float:
        return timed_arrow(lambda: self.read_table.scan().to_arrow(), rows)

    def read_newest(self, rows: int) -> float:
        return timed_arrow(lambda: self.read_table.refresh().scan().to_arrow(), rows)

    def open_and_read(self, rows: int) -> float:
        return timed_arrow(lambda: self.catalog.load_table("bench.read").scan().to_arrow(), rows)

    def read_pandas(self, rows: int) -> float:
        start = time.perf_counter()
        result = self.read_table.scan().to_pandas()
        seconds = time.perf_counter() - start
        assert len(result) == rows and int(result["id"].sum()) == id_sum(rows)
        return seconds

    def read_dicts(self, rows: int) -> float:
        start = time.perf_counter()
        result = self.read_table.scan().to_arrow().to_pylist()
        seconds = time.perf_counter() - start
        assert len(result) == rows and sum(record["id"] for record in result) == id_sum(rows)
        return seconds
