"""Arguments of the wrong kind: an error of the documented class that shows them, and nothing of the core behind it."""

from __future__ import annotations

import datetime
import gzip
import os
import pickle
import threading
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import datashard
from datashard.exceptions import InvalidArgument

UTC = datetime.timezone.utc


@pytest.mark.parametrize("properties", [[], "x", {"a": 5}, {"a": None}, {5: "a"}])
def test_properties(tmp_path, properties):
    with pytest.raises(InvalidArgument, match="propert"):
        datashard.create_table(str(tmp_path / "t"), properties=properties)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("schema_id", ["x", None, 1.5, True, -1, 2**31])
def test_schema_ids(schema_id):
    with pytest.raises(InvalidArgument, match="schema_id is"):
        datashard.Schema(schema_id=schema_id, fields=[{"id": 1, "name": "a", "type": "int"}])


def test_a_column_name_that_arrow_would_cut():
    with pytest.raises(InvalidArgument, match="NUL"):
        datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "a\0b", "type": "int"}])


def test_a_path_that_is_not_utf8(tmp_path):
    for call in (datashard.create_table, datashard.load_table):
        with pytest.raises(InvalidArgument, match="UTF-8"):
            call(os.fsdecode(bytes(tmp_path) + b"/\xff"))


@pytest.mark.parametrize("rows", [None, [{"id": 1}], 5, pd.Series([1], name="id"), pd.DataFrame([[1, 2]], columns=["id", "id"])],
                         ids=lambda rows: type(rows).__name__)
def test_rows_that_are_no_frame(people, rows):
    with pytest.raises(InvalidArgument, match="(?i)frame"):
        people.append_pandas(rows)
    if not isinstance(rows, pd.DataFrame | pd.Series):
        with pytest.raises(InvalidArgument, match="Arrow data"):
            people.append_arrow(rows)
    assert people.row_count() == 3


def test_files_that_are_no_data_files(people):
    with pytest.raises(InvalidArgument, match="DataFile"):
        people.append_data(["data/a.parquet"])


@pytest.mark.parametrize("moment", ["x", datetime.datetime(2024, 1, 1), [], float("nan"), float("inf")])
def test_moments(people, moment):
    with pytest.raises(InvalidArgument, match="milliseconds"):
        people.time_travel(timestamp=moment)


def test_append_arrow_treats_a_pandas_frame_as_append_pandas_does(make):
    frame = pd.DataFrame({"a": [1.0, float("nan")], "b": ["x", "y"]}, index=pd.Index(["p", "q"], name="a_label"))
    for append in ("append_arrow", "append_pandas", "append_records"):
        table = make(a="long", b="string")
        getattr(table, append)(frame)
        assert table.scan() == [{"a": 1, "b": "x"}, {"a": None, "b": "y"}]


def test_categories_of_polars(make):
    table = make()
    values = ["a", None, "b", "a"]
    table.append_arrow(pl.DataFrame({"c": pl.Series(values, dtype=pl.Categorical), "e": pl.Series(values, dtype=pl.Enum(["a", "b"]))}))
    assert table.scan() == [{"c": v, "e": v} for v in values]


def test_moments_without_a_zone_are_utc_in_every_kind_of_rows(make):
    moment = datetime.datetime(2024, 1, 1, 5)
    for append, rows in [("append_records", [{"a": moment}]), ("append_pandas", pd.DataFrame({"a": [moment]})),
                         ("append_arrow", pa.table({"a": pa.array([moment], pa.timestamp("ns"))})),
                         ("append_arrow", pl.DataFrame({"a": [moment]}))]:
        table = make(a="timestamptz")
        getattr(table, append)(rows)
        assert table.scan() == [{"a": moment.replace(tzinfo=UTC)}]


def test_pickling_after_a_change_of_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = datashard.create_table("t")
    table.append_records([{"a": 1}])
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert pickle.loads(pickle.dumps(table)).scan() == [{"a": 1}]


def test_an_iterator_that_threads_share_does_not_crash(make):
    table = make(a="long")
    table.append_records([{"a": n} for n in range(50000)])
    records = table.iter_records()
    seen, errors = [], []

    def draw():
        try:
            for record in records:
                seen.append(record["a"])
        except ValueError as error:
            errors.append(error)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(50000)) and len(errors) < len(threads)


@pytest.mark.local_files
def test_metadata_that_another_engine_compressed(people):
    newest = max(Path(people.table_path).glob("metadata/v*.metadata.json"))
    text = newest.read_bytes()
    newest.with_name(newest.name.replace(".metadata", ".gz.metadata")).write_bytes(gzip.compress(text))
    newest.unlink()
    table = datashard.load_table(people.table_path)
    assert table._core.metadata_json() == text.decode()
    assert table.metadata_manager.refresh().current_snapshot_id == table.current_snapshot().snapshot_id
    assert len(table.scan()) == 3
