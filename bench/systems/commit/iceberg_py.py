"""PyIceberg over an SQL catalog in SQLite. It does not sync the files it writes."""

from __future__ import annotations

import pyarrow as pa
from cases import make_records
from pyiceberg.catalog.sql import SqlCatalog
from systems import place
from systems.datashard_api import arrow_schema

SCHEMA = arrow_schema()
NAME = "bench.rows"


def catalog(directory: str) -> SqlCatalog:
    return SqlCatalog("bench", **place.iceberg_properties(directory))


def create(directory: str) -> None:
    made = catalog(directory)
    made.create_namespace("bench")
    made.create_table(NAME, SCHEMA)


class Writer:
    def __init__(self, directory: str):
        self.table = catalog(directory).load_table(NAME)

    def append(self, row_id: int) -> None:
        self.table.refresh()  # without it, every append after another writer's would raise
        self.table.append(pa.Table.from_pylist(make_records(1, row_id), schema=SCHEMA))

    def recover(self) -> None:
        """Nothing to do: every append begins with a refresh."""


def found(directory: str) -> list[int]:
    return catalog(directory).load_table(NAME).scan(selected_fields=("id",)).to_arrow()["id"].to_pylist()
