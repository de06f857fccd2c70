"""delta-rs. It does not sync what it writes."""

from __future__ import annotations

import pyarrow as pa
from cases import make_records
from deltalake import DeltaTable, write_deltalake
from systems import place
from systems.datashard_api import arrow_schema

SCHEMA = arrow_schema()


def create(directory: str) -> None:
    DeltaTable.create(place.uri(directory, "table"), SCHEMA, storage_options=place.delta_options())


class Writer:
    def __init__(self, directory: str):
        self.directory = directory
        self.recover()

    def append(self, row_id: int) -> None:
        write_deltalake(self.table, pa.Table.from_pylist(make_records(1, row_id), schema=SCHEMA), mode="append")

    def recover(self) -> None:
        self.table = open_table(self.directory)


def found(directory: str) -> list[int]:
    return pa.table(open_table(directory).to_pyarrow_table())["id"].to_pylist()


def open_table(directory: str) -> DeltaTable:
    return DeltaTable(place.uri(directory, "table"), storage_options=place.delta_options())
