"""Reading, in every shape: dicts, batches, Arrow and pandas; and what a damaged or missing file does to it."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import datashard


class TestRead:
    def test_columns(self, people):
        assert people.scan(columns=["name", "id"])[0] == {"name": "a", "id": 1}
        assert list(people.scan(columns=("name", "id"))[0]) == ["name", "id"]
        assert people.scan(columns=[]) == [{}, {}, {}]
        assert people.to_arrow(columns=[]).shape == (3, 0)
        assert people.to_pandas(columns=[]).shape == (3, 0)
        assert people.scan(columns=[], filter={"id": (">", 1)}) == [{}, {}]
        for bad in (["zz"], ["id", "id"], [1]):
            with pytest.raises(pa.ArrowInvalid):
                people.scan(columns=bad)
        with pytest.raises(ValueError, match="list of names"):
            people.scan(columns="id")

    @pytest.mark.parametrize("parallel", [False, True, None, 0, 1, 2, 16])
    def test_parallel_keeps_the_order(self, make, parallel):
        table = make(id="long")
        for start in range(0, 60, 10):
            table.append_records([{"id": n} for n in range(start, start + 10)])
        assert [r["id"] for r in table.scan(parallel=parallel)] == list(range(60))
        assert table.to_pandas(parallel=parallel, filter={"id": (">=", 55)})["id"].tolist() == list(range(55, 60))
        assert [r["id"] for r in table.iter_records(parallel=parallel)] == list(range(60))

    @pytest.mark.parametrize("parallel", [-1, 1.5, "x", 10**6])
    def test_parallel_refused(self, people, parallel):
        with pytest.raises(ValueError, match="parallel"):
            people.scan(parallel=parallel)

    def test_streams(self, make):
        table = make(id="long", name="string")
        table.append_records([{"id": n, "name": str(n)} for n in range(25)])
        table.append_records([{"id": n, "name": str(n)} for n in range(25, 40)])
        batches = list(table.scan_batches(batch_size=10))
        assert all(1 <= len(b) <= 10 for b in batches)
        assert [r for b in batches for r in b] == table.scan() == list(table.iter_records())
        frames = list(table.iter_pandas(chunksize=7))
        assert all(1 <= len(f) <= 7 for f in frames)
        assert pd.concat(frames)["id"].tolist() == list(range(40))
        assert [r["id"] for r in table.iter_records(filter={"id": (">", 37)}, columns=["id"])] == [38, 39]
        assert list(table.scan_batches(filter={"id": 99})) == list(table.iter_pandas(filter={"id": 99})) == []

    @pytest.mark.parametrize("size", [0, -1, 1.5, "x", True])
    def test_sizes_refused_at_once(self, people, size):
        with pytest.raises(ValueError, match="batch_size"):
            people.scan_batches(batch_size=size)
        with pytest.raises(ValueError, match="chunksize"):
            people.iter_pandas(chunksize=size)

    def test_a_half_read_stream_can_be_dropped(self, make):
        table = make(id="long")
        for _ in range(8):
            table.append_records([{"id": n} for n in range(1000)])
        records = table.iter_records(parallel=4)
        assert next(records) == {"id": 0}
        del records
        frames = table.iter_pandas(chunksize=10, parallel=True)
        assert len(next(frames)) == 10
        frames.close()
        assert table.row_count() == 8000

    def test_an_empty_table_has_its_columns(self, make):
        table = make(id="long", name="string", at="timestamptz", key="uuid")
        assert table.scan() == [] and table.row_count() == 0 and table.current_snapshot() is None
        assert table.to_arrow().schema.names == ["id", "name", "at", "key"]
        frame = table.to_pandas()
        assert list(frame.columns) == ["id", "name", "at", "key"] and len(frame) == 0
        assert list(table.to_pandas(columns=["at"]).columns) == ["at"]

    def test_arrow_and_pandas_show_uuids_as_text(self, make):
        key = uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7")
        table = make(id="long", key="uuid")
        table.append_records([{"id": n, "key": key if n % 3 else None} for n in range(10)])
        arrow = table.to_arrow()
        assert arrow.schema.field("key").type == pa.string()
        assert arrow["key"].to_pylist() == [str(key) if n % 3 else None for n in range(10)]
        assert table.to_arrow(filter={"id": (">", 7)})["key"].to_pylist() == [str(key), None]
        assert table.to_pandas()["key"].tolist()[1] == str(key)
        assert next(table.iter_pandas(chunksize=3))["key"].tolist()[1:] == [str(key)] * 2

    def test_the_table_is_an_arrow_stream(self, people):
        assert pa.table(people).to_pylist() == people.scan()
        assert pl.DataFrame(people).rows() == [(1, "a"), (2, None), (3, "c")]
        assert duckdb.sql("select sum(id) from people").fetchone() == (6,)

    @pytest.mark.parametrize("mode", [None, "page", "full", "off", True, False])
    def test_verify_checksums(self, people, mode):
        assert len(people.scan(verify_checksums=mode)) == 3

    def test_verify_checksums_refused(self, people, monkeypatch):
        with pytest.raises(ValueError, match="verify_checksums"):
            people.scan(verify_checksums="some")
        monkeypatch.setenv("DATASHARD_VERIFY_CHECKSUMS", "nonsense")
        with pytest.raises(ValueError, match="verify_checksums"):
            people.scan()

    def test_without_pandas(self, people, monkeypatch):
        monkeypatch.setitem(sys.modules, "pandas", None)
        for call in (people.to_pandas, people.iter_pandas):
            with pytest.raises(ImportError, match=r"datashard\[pandas\]"):
                call()

    def test_dates_python_does_not_know(self, make):
        table = make(d="date", t="timestamp")
        table.append_arrow(pa.table({"d": pa.array([10**7], pa.int32()).cast(pa.date32()),
                                     "t": pa.array([2**62], pa.timestamp("us"))}))
        for column in ("d", "t"):
            with pytest.raises(OverflowError, match="to_arrow"):
                table.scan(columns=[column])
        assert table.to_arrow().num_rows == 1


@pytest.mark.local_files
class TestDamage:
    """Never partial rows: whatever is missing or damaged is an error."""

    def only(self, table, pattern):
        [found] = sorted(Path(table.table_path).glob(pattern))[:1]
        return found

    def readers(self, table):
        yield table.scan
        yield table.to_arrow
        yield table.to_pandas
        yield lambda: list(table.iter_records())
        yield lambda: list(table.iter_pandas())

    def test_missing_data_file(self, people):
        self.only(people, "data/*.parquet").unlink()
        for read in self.readers(people):
            with pytest.raises(FileNotFoundError, match="parquet"):
                read()
        assert people.row_count() == 3

    def test_damaged_data_file(self, people):
        path = self.only(people, "data/*.parquet")
        body = bytearray(path.read_bytes())
        path.write_bytes(body[: len(body) // 2])
        for read in self.readers(people):
            with pytest.raises(datashard.CorruptDataError, match="parquet"):
                read()
        body[6] ^= 0xFF
        path.write_bytes(body)
        for read in self.readers(people):
            with pytest.raises(datashard.CorruptDataError, match="parquet"):
                read()

    @pytest.mark.parametrize("pattern", ["metadata/m/*/*-m0.avro", "metadata/m/*/snap-*.avro"])
    @pytest.mark.parametrize("how", ["missing", "cut", "garbage"])
    def test_metadata(self, people, pattern, how):
        for path in Path(people.table_path).glob(pattern):
            if how == "missing":
                path.unlink()
            else:
                path.write_bytes(path.read_bytes()[:-40] if how == "cut" else b"garbage")
        table = datashard.load_table(people.table_path)
        with pytest.raises(RuntimeError, match="inconsistent"):
            table.scan()
        with pytest.raises(RuntimeError, match="inconsistent"):
            table.append_records([{"id": 4}]) if "snap" in pattern else table.scan()

    def test_newest_version_cut(self, people):
        newest = sorted(Path(people.table_path).glob("metadata/v*.json"))[-1]
        newest.write_text(newest.read_text()[:-30])
        with pytest.raises(datashard.CorruptDataError, match=newest.name):
            datashard.load_table(people.table_path)

    def test_metadata_with_a_null_and_an_impossible_moment(self, people):
        newest = max(Path(people.table_path).glob("metadata/v*.json"))
        metadata = json.loads(newest.read_text())
        metadata["snapshot-log"] = None
        metadata["snapshots"][0]["timestamp-ms"] = -(2**63)
        newest.write_text(json.dumps(metadata))
        table = datashard.load_table(people.table_path)
        assert table.metadata_manager.refresh().snapshot_log == []
        with pytest.raises(datashard.CorruptDataError, match="timestamp-ms"):
            table.snapshots()
        assert len(table.scan()) == 3
