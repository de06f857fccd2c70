"""delta-rs. It does not sync what it writes."""

from __future__ import annotations

import os

import pyarrow as pa
from cases import make_records
from deltalake import DeltaTable, write_deltalake
from systems.datashard_api import arrow_schema

SCHEMA = arrow_schema()


def create(directory: str) -> None:
    DeltaTable.create(os.path.join(directory, "table"), SCHEMA)


class Writer:
    def __init__(self, directory: str):
        self.path = os.path.join(directory, "table")
        self.recover()

    def append(self, row_id: int) -> None:
        write_deltalake(self.table, pa.Table.from_pylist(make_records(1, row_id), schema=SCHEMA), mode="append")

    def recover(self) -> None:
        self.table = DeltaTable(self.path)


def found(directory: str) -> list[int]:
    return pa.table(DeltaTable(os.path.join(directory, "table")).to_pyarrow_table())["id"].to_pylist()
