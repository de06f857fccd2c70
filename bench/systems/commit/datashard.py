"""The `datashard` package: this project's, or the released one, by the environment."""

from __future__ import annotations

import os

import datashard
from cases import SCHEMA_FIELDS, make_records

SCHEMA = datashard.Schema(schema_id=1, fields=SCHEMA_FIELDS)


def create(directory: str, **properties: str) -> None:
    given = {"properties": properties} if properties else {}  # the released package has no such argument
    datashard.create_table(os.path.join(directory, "table"), SCHEMA, **given)


class Writer:
    def __init__(self, directory: str):
        self.table = datashard.load_table(os.path.join(directory, "table"))

    def append(self, row_id: int) -> None:
        if not self.table.append_records(make_records(1, row_id), SCHEMA):
            raise RuntimeError("append_records returned False")

    def recover(self) -> None:
        """Nothing to do: every append begins at the newest version."""


def found(directory: str) -> list[int]:
    return [row["id"] for row in datashard.load_table(os.path.join(directory, "table")).scan(columns=["id"])]
