"""Fixtures of the package's tests. They run against the `datashard` that PYTHONPATH or the installation provides."""

from __future__ import annotations

import os

import pytest

import datashard


def pytest_collection_modifyitems(items):
    if os.environ.get("DATASHARD_STORAGE_TYPE") != "s3":
        return
    for item in items:
        if item.get_closest_marker("local_files"):
            item.add_marker(pytest.mark.skip(reason="looks at a table's files, which lie in a bucket"))


def schema_from_columns(**columns: str) -> datashard.Schema:
    fields = []
    for number, (name, text) in enumerate(columns.items(), start=1):
        kind = text.removesuffix(" required")
        fields.append({"id": number, "name": name, "type": kind, "required": kind != text})
    return datashard.Schema(schema_id=1, fields=fields)


@pytest.fixture(scope="session")
def schema_of():
    """schema_of(id="long required", name="string"): columns in the order given, ids from 1."""
    return schema_from_columns


@pytest.fixture
def make(tmp_path):
    """make(id="long required", …): a new table with these columns; without any, one that takes its first rows' schema."""
    count = iter(range(1000))

    def create(**columns: str) -> datashard.Table:
        return datashard.create_table(str(tmp_path / f"table-{next(count)}"),
                                      schema_from_columns(**columns) if columns else None)

    return create


@pytest.fixture
def people(make):
    """Three rows in two snapshots: ids 1 to 3, names a, None and c."""
    table = make(id="long required", name="string")
    table.append_records([{"id": 1, "name": "a"}, {"id": 2, "name": None}])
    table.append_records([{"id": 3, "name": "c"}])
    return table
