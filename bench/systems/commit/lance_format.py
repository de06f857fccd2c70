"""Lance. It does not sync what it writes."""

from __future__ import annotations

import os

import lance
import pyarrow as pa
from cases import make_records
from systems.datashard_api import arrow_schema

SCHEMA = arrow_schema()


def create(directory: str) -> None:
    lance.write_dataset(pa.Table.from_pylist([], schema=SCHEMA), os.path.join(directory, "table.lance"))


class Writer:
    def __init__(self, directory: str):
        self.path = os.path.join(directory, "table.lance")
        self.recover()

    def append(self, row_id: int) -> None:
        self.dataset.insert(pa.Table.from_pylist(make_records(1, row_id), schema=SCHEMA), mode="append")

    def recover(self) -> None:
        self.dataset = lance.dataset(self.path)


def found(directory: str) -> list[int]:
    return lance.dataset(os.path.join(directory, "table.lance")).to_table(columns=["id"])["id"].to_pylist()
