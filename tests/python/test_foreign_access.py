"""What a table tells other engines, so that they read its files by themselves. Their reading is tested in tests/interop."""

from __future__ import annotations

import sys

import duckdb
import pandas as pd
import pytest

import datashard


def test_parquet_files_are_those_of_a_snapshot(people):
    first = people.snapshots()[0]["snapshot_id"]
    paths = people.parquet_paths()
    assert len(paths) == 2 and people.parquet_paths(snapshot_id=first) == people.parquet_paths(first) == paths[:1]
    root = people.location.removeprefix("file://")
    assert all(path.startswith(f"{root}/data/") and path.endswith(".parquet") for path in paths)
    for unknown in (12345, -1, 2**70, "x"):
        with pytest.raises(ValueError, match="no snapshot"):
            people.parquet_paths(snapshot_id=unknown)


def test_an_empty_table_has_no_parquet_files(make):
    assert make(id="long").parquet_paths() == [] == make().parquet_paths()


def test_the_metadata_file_is_that_of_the_newest_state(people):
    root = people.location.removeprefix("file://")
    before = people.metadata_location
    people.append_records([{"id": 4}])
    assert before != people.metadata_location
    assert people.metadata_location == f"{root}/metadata/v{people._core.version()}.metadata.json"


@pytest.mark.local_files
def test_paths_of_a_directory_are_read_as_they_are(people):
    frames = [pd.read_parquet(path) for path in people.parquet_paths()]
    assert sorted(pd.concat(frames)["id"]) == [1, 2, 3]
    assert duckdb.sql("SELECT sum(id) FROM read_parquet(?)", params=[people.parquet_paths()]).fetchone() == (6,)


@pytest.mark.local_files
def test_a_table_in_a_directory_has_no_secret(people):
    with pytest.raises(ValueError, match="lies in a directory"):
        people.duckdb_s3_secret_sql()


def test_the_name_of_a_secret_is_a_text(people):
    for name in (None, 7, b"x"):
        with pytest.raises(datashard.InvalidArgument, match="name of a secret"):
            people.duckdb_s3_secret_sql(name)


def test_duckdb_queries_the_rows_of_a_scan(people):
    first = people.snapshots()[0]["snapshot_id"]
    assert people.sql("SELECT sum(id) AS s, count(name) AS n FROM t").to_pylist() == [{"s": 6, "n": 2}]
    assert people.sql("SELECT * FROM p", alias="p", columns=["name"], filter={"id": 3}).to_pylist() == [{"name": "c"}]
    assert people.sql("SELECT max(id) AS m FROM t", snapshot_id=first).to_pylist() == [{"m": 2}]
    assert people.sql("SELECT id FROM t WHERE false").column_names == ["id"]
    with pytest.raises(duckdb.Error, match="nothing"):
        people.sql("SELECT * FROM nothing")
    with pytest.raises(ValueError, match="has no rows for an answer"):
        people.sql("CREATE TABLE x (id INT)")


def test_one_connection_joins_several_tables(people, make):
    ages = make(id="long", age="int")
    ages.append_records([{"id": 1, "age": 30}, {"id": 3, "age": 40}])
    connection = people.to_duckdb(view_name="people")
    assert ages.to_duckdb(connection, "ages") is connection
    assert connection.sql("SELECT name, age FROM people JOIN ages USING (id) ORDER BY id").fetchall() == [("a", 30), ("c", 40)]
    connection.close()


def test_without_duckdb_it_says_what_to_install(people, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    for call in (people.to_duckdb, lambda: people.sql("SELECT 1")):
        with pytest.raises(ImportError, match=r"datashard\[duckdb\]"):
            call()
