"""Creating, appending and travelling: what the pages of earlier releases promise, and the edges around it."""

from __future__ import annotations

import datetime
import json
import logging
import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import datashard

LATER = {
    "set_properties": ({},), "expire_snapshots": (), "compact_manifests": (), "repair_version_hint": ("v1",),
    "relocate": (), "garbage_collect": (), "verify": (), "rewrite_data_files": (),
}


class TestCreate:
    def test_twice_is_opening(self, tmp_path, schema_of):
        first = datashard.create_table(str(tmp_path / "t"), schema_of(a="long"))
        again = datashard.create_table(str(tmp_path / "t"), schema_of(a="long"))
        open_only = datashard.create_table(str(tmp_path / "t"))
        assert (first.created, again.created, open_only.created) == (True, False, False)
        assert datashard.load_table(str(tmp_path / "t")).schema == schema_of(a="long")

    @pytest.mark.parametrize("other", [{"a": "int"}, {"a": "long required"}, {"b": "long"}, {"a": "long", "b": "long"}])
    def test_with_another_schema_is_refused(self, tmp_path, schema_of, other):
        datashard.create_table(str(tmp_path / "t"), schema_of(a="long"))
        with pytest.raises(datashard.SchemaMismatchError, match="another schema") as caught:
            datashard.create_table(str(tmp_path / "t"), schema_of(**other))
        assert isinstance(caught.value, datashard.TableExistsError)
        ignored = datashard.create_table(str(tmp_path / "t"), schema_of(**other), if_exists="ignore")
        assert ignored.schema == schema_of(a="long") and not ignored.created

    def test_bad_if_exists(self, tmp_path):
        with pytest.raises(ValueError, match="if_exists"):
            datashard.create_table(str(tmp_path / "t"), if_exists="replace")
        assert not (tmp_path / "t").exists()

    def test_load_of_nothing_creates_nothing(self, tmp_path):
        with pytest.raises(ValueError, match="No Iceberg table found at") as caught:
            datashard.load_table(str(tmp_path / "no" / "table"))
        assert isinstance(caught.value, (datashard.NotFound, LookupError))
        assert list(tmp_path.iterdir()) == []
        (tmp_path / "empty").mkdir()
        with pytest.raises(ValueError, match="No Iceberg table"):
            datashard.load_table(tmp_path / "empty")
        assert list((tmp_path / "empty").iterdir()) == []

    @pytest.mark.local_files
    def test_a_file_in_the_way(self, tmp_path):
        (tmp_path / "f").write_text("x")
        with pytest.raises(datashard.DataShardError, match="f"):
            datashard.create_table(str(tmp_path / "f"))
        assert (tmp_path / "f").read_text() == "x"

    @pytest.mark.parametrize("path", ["", "gs://bucket/t", "file:///tmp/t", b"bytes", 5, None])
    def test_paths_that_are_none(self, path, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises((ValueError, TypeError)):
            datashard.create_table(path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.local_files
    def test_legacy_layout_is_refused_and_left_alone(self, tmp_path):
        (tmp_path / "metadata").mkdir()
        (tmp_path / "metadata.version-hint.text").write_text("0")
        (tmp_path / "metadata" / "v0.metadata.json").write_text("{}")
        for call in (datashard.load_table, datashard.create_table):
            with pytest.raises(datashard.LegacyLayoutError, match="migrate"):
                call(str(tmp_path))
        assert sorted(p.name for p in tmp_path.rglob("*")) == ["metadata", "metadata.version-hint.text", "v0.metadata.json"]

    def test_unicode_key_value_and_pathlib(self, tmp_path):
        path = tmp_path / "größe=1" / "a b%20c"
        table = datashard.create_table(path)
        table.append_records([{"x": 1}])
        assert table.table_path == str(path)
        assert datashard.load_table(path).scan() == [{"x": 1}]

    @pytest.mark.local_files
    def test_relative_path_survives_chdir(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        table = datashard.create_table("t")
        table.append_records([{"x": 1}])
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        table.append_records([{"x": 2}])
        assert [r["x"] for r in table.scan()] == [1, 2]
        assert table.location == (tmp_path / "t").as_uri()

    @pytest.mark.local_files
    def test_symlinked_root(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        table = datashard.create_table(tmp_path / "link")
        table.append_records([{"x": 1}])
        assert datashard.load_table(tmp_path / "real").scan() == [{"x": 1}]
        assert table.file_manager.read_manifest_list_file(os.path.join(table.table_path, table.current_snapshot().manifest_list))

    def test_partition_spec(self, tmp_path, schema_of):
        spec = datashard.PartitionSpec(0, [datashard.PartitionField(1, 1000, "a", "identity")])
        with pytest.raises(NotImplementedError, match="partition_spec"):
            datashard.create_table(str(tmp_path / "t"), schema_of(a="long"), spec)
        assert not (tmp_path / "t").exists()
        datashard.create_table(str(tmp_path / "t"), schema_of(a="long"), datashard.PartitionSpec(0, []))


class TestSchema:
    @pytest.mark.parametrize("fields, message", [
        ([{"id": 1, "name": "a", "type": "zz"}], "zz"),
        ([{"id": 1, "name": "a", "type": "LONG"}], "LONG"),
        ([{"id": 1, "name": "a", "type": "fixed"}], r"fixed\[L\]"),
        ([{"id": 1, "name": "a", "type": "decimal(39,2)"}], "decimal"),
        ([{"id": 1, "name": "a", "type": "decimal(5,6)"}], "decimal"),
        ([{"id": 1, "name": "a", "type": "list<long>"}], "list<long>"),
        ([{"id": 1, "name": "a", "type": {"type": "list"}}], "list"),
        ([{"id": 1, "name": "a"}], "'type'"),
        ([{"id": 1, "type": "long"}], "'name'"),
        ([{"name": "a", "type": "long"}], "'id'"),
        ([{"id": "1", "name": "a", "type": "long"}], "integer"),
        ([{"id": True, "name": "a", "type": "long"}], "integer"),
        ([{"id": 2**31, "name": "a", "type": "long"}], "integer"),
        ([{"id": 0, "name": "a", "type": "long"}], "'a'"),
        ([{"id": -1, "name": "a", "type": "long"}], "integer"),
        ([{"id": 1, "name": "", "type": "long"}], "name"),
        ([{"id": 1, "name": 5, "type": "long"}], "name"),
        ([{"id": 1, "name": "a", "type": "long", "required": "yes"}], "required"),
        ([{"id": 1, "name": "a", "type": "long"}, {"id": 1, "name": "b", "type": "long"}], "twice"),
        ([{"id": 1, "name": "a", "type": "long"}, {"id": 2, "name": "a", "type": "long"}], "'a'"),
        (["a"], "'a'"),
        ([..., {"id": 1, "name": "a", "type": "long"}], "Ellipsis"),
    ])
    def test_refused(self, fields, message):
        with pytest.raises(datashard.InvalidArgument, match=message):
            datashard.Schema(schema_id=1, fields=fields)

    def test_is_a_plain_record(self, schema_of):
        schema = schema_of(a="long required", b="decimal(10, 2)")
        assert json.loads(schema.schema_string) == schema.fields
        assert schema == schema_of(a="long required", b="decimal(10, 2)") != schema_of(a="long", b="decimal(10, 2)")

    def test_an_ellipsis_leaves_the_columns_open(self, tmp_path):
        schema = datashard.Schema(schema_id=1, fields=[...])
        table = datashard.create_table(tmp_path / "t", schema)
        assert table.schema is None
        table.append_records([{"id": 1, "value": "data"}], schema)
        with table.new_transaction() as tx:
            tx.append_data([{"id": 2, "value": "more"}], schema)
        assert [f["name"] for f in table.schema.fields] == ["id", "value"]
        assert datashard.create_table(tmp_path / "t", schema).row_count() == 2

    def test_given_on_append(self, make, schema_of):
        table = make(a="long required", b="string")
        same = datashard.Schema(7, [{"id": 9, "name": "b", "type": "string"},
                                    {"id": 8, "name": "a", "type": "long", "required": True}])
        table.append_records([{"a": 1}], same)
        for other in (schema_of(a="long required"), schema_of(a="long", b="string"), schema_of(a="int required", b="string")):
            with pytest.raises(ValueError, match="differs"):
                table.append_records([{"a": 2}], other)
        with pytest.raises(ValueError, match="datashard.Schema, not dict"):
            table.append_records([{"a": 2}], {"a": "long"})
        assert table.scan() == [{"a": 1, "b": None}]

    def test_adopted_by_a_table_without_one(self, make, schema_of):
        table = make()
        assert table.schema is None and table.scan() == [] and list(table.to_pandas().columns) == []
        table.append_records([{"a": 1}], schema_of(a="int required", u="uuid"))
        assert [f["type"] for f in table.schema.fields] == ["int", "uuid"]
        table.append_records([{"a": 2, "u": uuid.UUID(int=1)}])
        assert table.scan()[1] == {"a": 2, "u": str(uuid.UUID(int=1))}


class TestAppend:
    def test_empty_is_true_and_warns(self, make, caplog):
        table = make(a="long")
        with caplog.at_level(logging.WARNING, logger="datashard"):
            for rows in ([], (), None, iter(())):
                assert table.append_records(rows) is True
            assert table.append_arrow(pa.table({"a": pa.array([], pa.int64())})) is True
        assert len(caplog.records) == 5 and "no rows" in caplog.text
        assert table.current_snapshot() is None and table.snapshots() == []
        assert not list(Path(table.table_path).rglob("*.parquet"))

    def test_anything_with_an_arrow_stream(self, make):
        rows = pa.table({"id": pa.array([1, 2]), "name": ["a", None]})
        sources = [
            rows, rows.to_batches()[0], pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches()),
            pl.DataFrame(rows), rows.to_pandas(), duckdb.sql("select 1::bigint id, 'a' as name union all select 2, null"),
            rows.to_struct_array().combine_chunks(),
        ]
        for source in sources:
            for method in ("append_arrow", "append_records"):
                if isinstance(source, pa.RecordBatchReader):
                    source = pa.RecordBatchReader.from_batches(rows.schema, rows.to_batches())
                table = make(id="long required", name="string")
                assert getattr(table, method)(source) is True
                assert table.scan() == [{"id": 1, "name": "a"}, {"id": 2, "name": None}], type(source)

    def test_the_first_arrow_rows_give_the_schema(self, make):
        table = make()
        table.append_arrow(pa.RecordBatch.from_pydict({"id": [1], "at": pa.array([0], pa.timestamp("us", "UTC"))}))
        assert [(f["name"], f["type"]) for f in table.schema.fields] == [("id", "long"), ("at", "timestamptz")]

    @pytest.mark.local_files
    def test_arrow_rules_are_those_of_records(self, make):
        table = make(id="long required", name="string", x="double")
        table.append_arrow(pa.table({"name": ["b"], "id": [1]}))
        for bad, message in [
            (pa.table({"id": [1.5]}), "id"), (pa.table({"id": ["1"]}), "id"), (pa.table({"id": [True]}), "id"),
            (pa.table({"id": [1], "zz": [1]}), "zz"), (pa.table({"name": ["x"]}), "id"),
            (pa.table({"id": pa.array([None], pa.int64())}), "id"), (pa.table({"id": [1], "name": [5]}), "name"),
        ]:
            with pytest.raises(ValueError, match=message):
                table.append_arrow(bad)
        for bad in (5, "abc", object(), {"id": [1]}):
            with pytest.raises(ValueError, match="Arrow"):
                table.append_arrow(bad)
        assert table.scan() == [{"id": 1, "name": "b", "x": None}]
        assert len(list(Path(table.table_path).rglob("*.parquet"))) == 1

    def test_a_stream_is_read_once(self, make):
        table = make(id="long")
        capsule = pa.table({"id": [1]}).__arrow_c_stream__()

        class Once:
            def __arrow_c_stream__(self, requested_schema=None):
                return capsule

        table.append_arrow(Once())
        with pytest.raises(ValueError, match="only once"):
            table.append_arrow(Once())

    def test_a_stream_that_fails_leaves_nothing(self, make):
        def batches():
            yield pa.record_batch({"id": [1]})
            raise OSError("the source broke")

        table = make(id="long")
        with pytest.raises(datashard.DataShardError, match="the source broke"):
            table.append_arrow(pa.RecordBatchReader.from_batches(pa.schema({"id": pa.int64()}), batches()))
        assert table.scan() == [] and not list(Path(table.table_path).rglob("*.parquet"))

    def test_pandas(self, make):
        table = make(id="long required", name="string", x="double")
        table.append_pandas(pd.DataFrame({"id": [1.0], "name": ["a"]}, index=[7]))
        table.append_pandas(pd.DataFrame({"x": [float("nan"), 2.5], "id": [2, 3]}))
        assert table.scan() == [{"id": 1, "name": "a", "x": None}, {"id": 2, "name": None, "x": None},
                                {"id": 3, "name": None, "x": 2.5}]
        for bad in (pd.DataFrame({"id": [1], "zz": [1]}), pd.DataFrame({"name": ["x"]}), pd.DataFrame({"id": [1.5]}),
                    pd.DataFrame({"id": [1, "x"]})):
            with pytest.raises(ValueError):
                table.append_pandas(bad)
        assert table.row_count() == 3

    def test_partition_values(self, people):
        people.append_records([{"id": 4}], partition_values={})
        with pytest.raises(NotImplementedError, match="partition_values"):
            people.append_records([{"id": 5}], partition_values={"day": "x"})
        assert people.row_count() == 4

    @pytest.mark.local_files
    def test_existing_files(self, make):
        table = make(id="long", name="string")
        (Path(table.table_path) / "data").mkdir(exist_ok=True)
        pq.write_table(pa.table({"id": [1, 2], "name": ["a", None]}), f"{table.table_path}/data/mine.parquet")

        def file(path, kind=datashard.FileFormat.PARQUET):
            return datashard.DataFile(file_path=path, file_format=kind, partition_values={}, record_count=2,
                                      file_size_in_bytes=1)

        for path in ("/data/mine.parquet", "data/mine.parquet", f"{table.table_path}/data/mine.parquet"):
            assert table.append_data([file(path)]) is True
        assert table.row_count() == 6 and len(table.snapshots()) == 3
        with table.new_transaction() as tx:
            tx.append_files([file("/data/mine.parquet"), file("data/mine.parquet")]).append_records([{"id": 9}])
        assert table.row_count() == 11 and len(table.snapshots()) == 4
        with pytest.raises(FileNotFoundError, match="none.parquet"):
            table.append_data([file("/data/mine.parquet"), file("/data/none.parquet")])
        with pytest.raises(ValueError, match="Parquet"):
            table.append_data([file("/data/mine.parquet", datashard.FileFormat.ORC)])
        with pytest.raises(ValueError):
            table.append_data([file("data/../../mine.parquet")])
        with pytest.raises(ValueError):
            table.append_data([file("/etc/passwd")])
        pq.write_table(pa.table({"other": [1]}), f"{table.table_path}/data/other.parquet")
        with pytest.raises(ValueError, match="other"):
            table.append_data([file("data/other.parquet")])
        assert table.row_count() == 11 and len(table.snapshots()) == 4


class TestTime:
    @pytest.mark.local_files
    def test_snapshots(self, people):
        first, second = people.snapshots()
        assert set(first) == {"snapshot_id", "timestamp_ms", "timestamp", "operation", "summary", "parent_id"}
        assert first["parent_id"] is None and second["parent_id"] == first["snapshot_id"]
        assert first["operation"] == "append" and first["summary"]["added-records"] == "2"
        assert first["timestamp"] == datetime.datetime.fromtimestamp(first["timestamp_ms"] / 1000)
        current = people.current_snapshot()
        assert current.snapshot_id == second["snapshot_id"] == people.snapshot_by_id(second["snapshot_id"]).snapshot_id
        assert current.manifest_list.startswith("metadata/") and (Path(people.table_path) / current.manifest_list).exists()
        assert current.parent_snapshot_id == first["snapshot_id"] and current.schema_id is not None

    def test_the_newest_snapshots(self, people):
        both = people.snapshots()
        assert people.snapshots(limit=1) == both[1:] and people.snapshots(2) == people.snapshots(limit=9) == both
        assert people.snapshots(limit=0) == [] and people.snapshots(limit=None) == both
        for bad in (-1, 2**70, "x", 1.5):
            with pytest.raises(ValueError, match="limit"):
                people.snapshots(limit=bad)

    @pytest.mark.slow
    def test_archived_snapshots(self, tmp_path, schema_of):
        table = datashard.create_table(str(tmp_path / "t"), schema_of(id="long"),
                                       properties={"datashard.history.window-bytes": "0"})
        for number in range(140):
            table.append_records([{"id": number}])
        metadata = table.metadata_manager.refresh()
        assert "datashard.history" in metadata.properties and metadata.properties["gc.enabled"] == "false"
        assert metadata.snapshot_log[0].snapshot_id != table.snapshots()[0]["snapshot_id"]
        every = table.snapshots()
        assert [s["summary"]["total-records"] for s in every] == [str(n + 1) for n in range(140)]
        for number in (0, 31, 32, 139):
            found = table.time_travel(snapshot_id=every[number]["snapshot_id"])
            assert found.timestamp_ms == every[number]["timestamp_ms"]
            assert [r["id"] for r in table.scan(snapshot_id=found.snapshot_id)] == list(range(number + 1))
        assert table.time_travel(timestamp=every[3]["timestamp_ms"]).timestamp_ms == every[3]["timestamp_ms"]

    def test_rows_of_any_snapshot(self, people):
        first, second = (s["snapshot_id"] for s in people.snapshots())
        assert [r["id"] for r in people.scan(snapshot_id=first)] == [1, 2]
        assert [r["id"] for r in people.scan(snapshot_id=second)] == [1, 2, 3]
        assert people.to_arrow(snapshot_id=first).num_rows == people.row_count(snapshot_id=first) == 2
        assert len(people.to_pandas(snapshot_id=first)) == 2
        assert len(list(people.iter_records(snapshot_id=first))) == 2
        for bad in (5, -1, 2**63, "x"):
            for read in (people.scan, people.row_count, people.to_arrow, people.scan_batches):
                with pytest.raises(ValueError, match="no snapshot"):
                    read(snapshot_id=bad)

    def test_time_travel(self, make):
        table = make(id="long")
        assert table.time_travel() is None and table.time_travel(timestamp=2**62) is None
        table.append_records([{"id": 1}])
        time.sleep(0.01)
        table.append_records([{"id": 2}])
        first, second = table.snapshots()
        at = lambda **k: (found := table.time_travel(**k)) and found.snapshot_id  # noqa: E731
        assert at(snapshot_id=first["snapshot_id"]) == first["snapshot_id"]
        assert at(snapshot_id=12345) is at(snapshot_id=2**64) is at(timestamp=first["timestamp_ms"] - 1) is None
        assert at(timestamp=first["timestamp_ms"]) == at(timestamp=second["timestamp_ms"] - 1) == first["snapshot_id"]
        assert at(timestamp=second["timestamp_ms"]) == at(timestamp=2**80) == at() == second["snapshot_id"]
        assert at(snapshot_id=first["snapshot_id"], timestamp=2**62) == first["snapshot_id"]

    def test_other_handles_see_it_at_once(self, people):
        other = datashard.load_table(people.table_path)
        other.append_records([{"id": 4}])
        assert people.row_count() == 4 and people.refresh() is True and len(people.snapshots()) == 3

    def test_a_scan_stays_with_its_state(self, people):
        stream = people.iter_records()
        people.append_records([{"id": 4}])
        assert len(list(stream)) == 3

    def test_metadata(self, people):
        metadata = people.metadata_manager.refresh()
        assert metadata.location == people.location and metadata.format_version == 2
        assert metadata.schemas[0].fields == people.schema.fields
        assert metadata.current_snapshot_id == people.current_snapshot().snapshot_id
        assert [e.snapshot_id for e in metadata.snapshot_log] == [s["snapshot_id"] for s in people.snapshots()]
        assert metadata.properties == people.properties()
        assert people.snapshot_manager.get_snapshot_history() == metadata.snapshot_log
        assert people.metadata_manager.get_all_snapshots()[-1] == people.current_snapshot()

    def test_metadata_of_an_empty_table(self, make):
        assert make(a="long").metadata_manager.refresh().current_snapshot_id == -1


class TestFace:
    def test_exports(self):
        for name in datashard.__all__:
            assert getattr(datashard, name) is not None
        assert set(datashard.__all__) <= set(dir(datashard))
        with pytest.raises(AttributeError, match="nonsense"):
            datashard.nonsense
        from datashard.metadata_manager import ConcurrentModificationException

        assert ConcurrentModificationException is datashard.ConcurrentModificationException

    @pytest.mark.parametrize("name", sorted(LATER))
    def test_later_names_say_what_to_do(self, people, name):
        with pytest.raises(NotImplementedError, match=f"{name} is not available in this release; ."):
            getattr(people, name)(*LATER[name])

    def test_migrate_table_says_what_to_do(self):
        with pytest.raises(NotImplementedError, match="0.11.2"):
            datashard.migrate_table("t")

    def test_import_is_light(self):
        code = ("import sys, datashard; from datashard import create_table, Schema; "
                "print([m for m in ('pyarrow', 'pandas', 'numpy') if m in sys.modules])")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
        assert done.stdout.strip() == "[]"

    def test_append_and_scan_need_no_pyarrow(self, tmp_path):
        code = ("import sys, datashard\n"
                f"t = datashard.create_table({str(tmp_path / 't')!r})\n"
                "t.append_records([{'a': 1}]); assert t.scan() == [{'a': 1}]\n"
                "print('pyarrow' in sys.modules)")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
        assert done.stdout.strip() == "False"

    @pytest.mark.parametrize("failures, expected", [
        (1, "loaded"), (99, f"datashard needs pyarrow 24.0.x, found {pa.__version__}: pip install 'pyarrow==24.0.*'")])
    def test_arrow_that_is_not_found_beside_us(self, failures, expected):
        code = f"""
import sys
class Finder:
    left = {failures}
    def find_spec(self, name, path, target=None):
        if name == "datashard._core" and Finder.left > 0:
            Finder.left -= 1
            raise ImportError("libarrow.so.2400: cannot open shared object file")
sys.meta_path.insert(0, Finder())
try:
    import datashard
    print("loaded", "pyarrow" in sys.modules)
except ImportError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/")
        assert done.stdout.startswith(expected)

    def test_module_prints_what_is_installed(self):
        done = subprocess.run([sys.executable, "-m", "datashard"], capture_output=True, text=True, check=True, cwd="/")
        assert done.stdout.startswith(f"datashard {datashard.__version__}")

    def test_exceptions_survive_pickling(self, people):
        import pickle

        for call in (lambda: people.scan(columns=["zz"]), lambda: people.append_records([{"id": 2**70}]),
                     lambda: datashard.load_table("/nonexistent")):
            with pytest.raises(datashard.DataShardError) as caught:
                call()
            again = pickle.loads(pickle.dumps(caught.value))
            assert type(again) is type(caught.value) and again.args == caught.value.args
