"""The writer for rows of this process: what it takes, what it publishes, whom it tells."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pandas
import polars
import pyarrow as pa
import pytest
from snapshots import FORMATS, PAIRS_INPUT, Place, numbers, run

from shardyfusion import (BuildResult, CelShardedWriteConfig, ColumnWriteInput, ConfigValidationError, HashShardedWriteConfig,
                          InMemoryManifestStore, InMemoryRunRegistry, PublishCurrentError, PythonRecordInput, PythonWriteOptions,
                          ShardAssignmentError, ShardyfusionError, SingleDbWriteConfig, ValueSpec)
from shardyfusion.cel import CelColumn, cel_sharding_by_columns
from shardyfusion.config import WriteConfig, WriterManifestConfig
from shardyfusion.metrics import MetricEvent
from shardyfusion.run_registry import RunStatus
from shardyfusion.sharding_types import CelShardingSpec, HashShardingSpec, ShardingSpec
from shardyfusion.testing import (FailOnceAdapterFactory, FileBackedReaderFactory, ListMetricsCollector, fake_adapter_factory,
                                  file_backed_adapter_factory)
from shardyfusion.type_defs import RetryConfig
from shardyfusion.writer.python import write_cel_sharded, write_hash_sharded, write_sharded, write_single_db


def path_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_result_says_what_was_published(place: Place, kind):
    result = place.publish(numbers(1000), adapter_factory=FORMATS[kind](), output=None)
    assert isinstance(result, BuildResult) and len(result.run_id) == 32
    assert [shard.db_id for shard in result.winners] == [0, 1, 2, 3]
    assert result.stats.rows_written == 1000 == sum(shard.row_count for shard in result.winners)
    assert result.stats.num_winners == result.stats.num_attempt_results == 4
    assert path_of(result.manifest_ref).is_file() and result.manifest_ref.startswith(place.prefix)
    assert all(shard.db_url.startswith(f"{place.prefix}/shards/run_id={result.run_id}/db=") for shard in result.winners)


def test_sqlite_shards_are_tables_that_sqlite_reads(place: Place):
    result = place.publish(numbers(100), num_dbs=1, adapter_factory=FORMATS["sqlite"]())
    with sqlite3.connect(path_of(result.winners[0].db_url) / "shard.db") as con:
        assert con.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = con.execute("SELECT k, v FROM kv").fetchall()
    assert rows == [(key.to_bytes(8, "big"), value) for key, value in numbers(100).items()]


def test_of_equal_keys_the_last_counts_once(place: Place):
    records = [(1, b"first"), (2, b"x"), (1, b"last")]
    result = write_hash_sharded(records, HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PAIRS_INPUT)
    assert result.stats.rows_written == 2 == result.winners[0].row_count
    with place.reader() as reader:
        assert reader.get(1) == b"last"


def rows():
    return [{"id": key, "name": f"n{key}", "blob": b"b%d" % key if key % 3 else None} for key in range(300)]


SHAPES = {
    "dicts": rows, "generator": lambda: (row for row in rows()), "arrow": lambda: pa.Table.from_pylist(rows()),
    "stream": lambda: pa.Table.from_pylist(rows()).to_reader(), "pandas": lambda: pandas.DataFrame(rows()),
    "polars": lambda: polars.DataFrame(rows()),
}


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_columns_come_from_any_shape(place: Place, shape):
    taken = ColumnWriteInput("id", ValueSpec.binary_col("blob"))
    result = write_hash_sharded(SHAPES[shape](), HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), taken)
    assert result.stats.rows_written == 300
    with place.reader() as reader:
        assert reader.get(4) == b"b4" and reader.get(3) == b""


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_json_values_are_the_same_from_any_shape(place: Place, shape):
    taken = ColumnWriteInput("id", ValueSpec.json_cols(["name", "id"]))
    write_hash_sharded(SHAPES[shape](), HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), taken)
    with place.reader() as reader:
        assert reader.get(4) == b'{"id":4,"name":"n4"}'


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_a_function_makes_values_from_any_shape(place: Place, shape):
    taken = ColumnWriteInput("id", ValueSpec.callable_encoder(lambda row: row["name"].encode()))
    write_hash_sharded(SHAPES[shape](), HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), taken)
    with place.reader() as reader:
        assert reader.get(4) == b"n4"


def test_an_empty_stream_is_an_empty_snapshot(place: Place):
    table = pa.table({"id": pa.array([], pa.int64()), "v": pa.array([], pa.binary())})
    write_hash_sharded(table, HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), ColumnWriteInput("id", ValueSpec.binary_col("v")))
    with place.reader() as reader:
        assert reader.get(1) is None


def test_the_number_of_shards_follows_from_the_number_of_keys(place: Place):
    config = HashShardedWriteConfig(max_keys_per_shard=100, s3_prefix=place.prefix)
    write_hash_sharded([(key, b"") for key in range(250)], config, PAIRS_INPUT)
    with place.reader() as reader:
        assert reader.snapshot_info().num_dbs == 3
    with pytest.raises(ConfigValidationError, match="know their size"):
        write_hash_sharded(iter([(1, b"")]), config, PAIRS_INPUT)


def test_rows_of_what_is_no_iterable_are_refused(place: Place):
    with pytest.raises(ConfigValidationError, match="iterable"):
        write_hash_sharded("text", HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PAIRS_INPUT)


@pytest.mark.parametrize(("record", "error"), [((-1, b""), "-1"), (("x", b""), "u64be"), ((1, "text"), "bytes"), ((1.5, b""), "float"),
                                               ((2**64, b""), "out of range")])
def test_an_error_names_its_row_and_nothing_is_published(place: Place, record, error):
    place.publish({5: b"before"}, num_dbs=1)
    with pytest.raises(ConfigValidationError, match=error) as raised:
        write_hash_sharded([(5, b"fine"), record], HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PAIRS_INPUT)
    assert "row 1" in str(raised.value)
    assert len(list(path_of(place.prefix).glob("manifests/*"))) == 1 and len(list(path_of(place.prefix).glob("shards/*"))) == 1


def test_what_a_function_of_the_user_raises_comes_back_with_its_row(place: Place):
    def broken(record):
        raise LookupError("no such field")

    with pytest.raises(LookupError, match="no such field") as raised:
        write_hash_sharded([1], HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PythonRecordInput(lambda _: 1, broken))
    assert "row 0" in "".join(getattr(raised.value, "__notes__", ["row 0"]))


def test_buffers_are_values_too(place: Place):
    write_hash_sharded([(1, bytearray(b"a")), (2, memoryview(b"b"))], HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PAIRS_INPUT)
    with place.reader() as reader:
        assert (reader.get(1), reader.get(2)) == (b"a", b"b")


def cel_config(place: Place, **options) -> CelShardedWriteConfig:
    return CelShardedWriteConfig(s3_prefix=place.prefix, **options)


def test_an_expression_over_the_key_routes(place: Place):
    config = cel_config(place, cel_expr="key % 3", cel_columns={"key": "int"})
    result = write_cel_sharded(numbers(30).items(), config, PAIRS_INPUT)
    assert [shard.row_count for shard in result.winners] == [10, 10, 10]
    with place.reader() as reader:
        assert reader.get(7) == b"value 7" and reader.route_key(7) == 1


def test_an_expression_over_columns_routes(place: Place):
    config = cel_config(place, cel_expr='region + ":" + string(tier)', cel_columns={"region": "string", "tier": "int"},
                        infer_routing_values_from_data=True)
    records = [{"key": key, "region": "eu" if key % 2 else "us", "tier": key % 3} for key in range(60)]
    taken = PythonRecordInput(lambda row: row["key"], lambda row: b"%d" % row["key"], lambda row: row)
    assert len(write_cel_sharded(records, config, taken).winners) == 6
    with place.reader() as reader:
        assert reader.get(7, routing_context={"region": "eu", "tier": 1}) == b"7"
        assert reader.get(7, routing_context={"region": "us", "tier": 1}) is None


@pytest.mark.parametrize("shape", ["dicts", "arrow"])
def test_an_expression_reads_the_columns_of_any_shape(place: Place, shape):
    spec = cel_sharding_by_columns(CelColumn("name"), num_shards=4)
    config = cel_config(place, cel_expr=spec.cel_expr, cel_columns=spec.cel_columns)
    taken = ColumnWriteInput("id", ValueSpec.json_cols(["name"]))
    assert write_cel_sharded(SHAPES[shape](), config, taken).stats.rows_written == 300
    with place.reader() as reader:
        assert reader.get(7, routing_context={"name": "n7"}) == b'{"name":"n7"}'


def test_an_expression_that_only_the_other_compiler_knows_routes(place: Place):
    config = cel_config(place, cel_expr="key.matches('^a') ? 1 : 0", cel_columns={"key": "string"}, key_encoding="utf8")
    result = write_cel_sharded({"abc": b"1", "b": b"2"}.items(), config, PAIRS_INPUT)
    assert [shard.row_count for shard in result.winners] == [1, 1]
    from shardyfusion.manifest_store import S3ManifestStore
    from shardyfusion.routing import SnapshotRouter
    from shardyfusion.storage import FileBackend

    store = S3ManifestStore(FileBackend(), place.prefix)
    manifest = store.load_manifest(result.manifest_ref)
    assert SnapshotRouter(manifest.required_build, manifest.shards).route_one("abc") == 1
    with place.reader() as reader:
        assert reader.multi_get(["abc", "b", "x"]) == {"abc": b"1", "b": b"2", "x": None} and reader.route_key("abc") == 1

    async def look():
        async with await place.async_reader() as reader:
            return await reader.get("abc")

    assert run(look()) == b"1"


def test_columns_need_a_function(place: Place):
    config = cel_config(place, cel_expr="region", cel_columns={"region": "string"}, routing_values=["eu"])
    with pytest.raises(ConfigValidationError, match="columns_fn"):
        write_cel_sharded([(1, b"")], config, PAIRS_INPUT)


def test_a_value_without_a_shard_is_an_assignment_error(place: Place):
    config = cel_config(place, cel_expr="region", cel_columns={"region": "string"}, routing_values=["eu"])
    with pytest.raises(ShardAssignmentError, match="mars"):
        write_cel_sharded([(1, b"")], config, PythonRecordInput(lambda _: 1, lambda _: b"", lambda _: {"region": "mars"}))


def test_shard_ids_with_gaps_are_an_assignment_error(place: Place):
    with pytest.raises(ShardAssignmentError):
        write_cel_sharded([(2, b"")], cel_config(place, cel_expr="key", cel_columns={"key": "int"}), PAIRS_INPUT)


@pytest.mark.parametrize("expr", ["key +", "nothing", "key ? 1 : 2"])
def test_what_is_no_expression_is_a_config_error(place: Place, expr):
    with pytest.raises(ConfigValidationError):
        write_cel_sharded([(1, b"")], cel_config(place, cel_expr=expr, cel_columns={"key": "int"}), PAIRS_INPUT)


@pytest.mark.parametrize(("sharding", "shards"), [
    (None, 4), (HashShardingSpec(), 4), (ShardingSpec("range", boundaries=[10, 20]), 3),
    (CelShardingSpec(cel_expr="key % 2", cel_columns={"key": "int"}), 2)])
def test_the_flat_call_takes_every_strategy(place: Place, sharding, shards):
    config = WriteConfig(num_dbs=shards if shards == 4 else None, s3_prefix=place.prefix, sharding=sharding)
    result = write_sharded(numbers(30).items(), config, key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1], parallel=True)
    assert result.stats.num_winners == shards
    with place.reader() as reader:
        assert all(reader.get(key) == value for key, value in numbers(30).items())
        assert list(reader.multi_get([1, 29]).values()) == [b"value 1", b"value 29"]
        if shards == 3:
            assert [reader.route_key(key) for key in (9, 10, 19, 20)] == [0, 1, 1, 2]


def test_the_flat_call_takes_columns(place: Place):
    config = WriteConfig(num_dbs=2, s3_prefix=place.prefix)
    write_sharded(pa.table({"id": [1, 2], "v": [b"a", b"b"]}), config, key_col="id", value_spec=ValueSpec.binary_col("v"),
                  max_writes_per_second=1000)
    with place.reader() as reader:
        assert reader.multi_get([1, 2]) == {1: b"a", 2: b"b"}


def test_the_flat_call_refuses_half_an_input_and_rules_of_others(place: Place):
    config = WriteConfig(num_dbs=2, s3_prefix=place.prefix)
    with pytest.raises(ConfigValidationError, match="key_col and value_spec"):
        write_sharded([], config, key_col="id", value_fn=len)
    custom = WriteConfig(num_dbs=2, s3_prefix=place.prefix, sharding=ShardingSpec("custom_expr", custom_expr="id % 2"))
    with pytest.raises(ConfigValidationError, match="Spark"):
        write_sharded([], custom, key_fn=len, value_fn=len)
    with pytest.raises(ConfigValidationError, match="boundaries"):
        write_sharded([], WriteConfig(num_dbs=2, s3_prefix=place.prefix, sharding=ShardingSpec("range")), key_fn=len, value_fn=len)


def test_one_database_holds_all(place: Place):
    result = write_single_db(numbers(10).items(), SingleDbWriteConfig(s3_prefix=place.prefix), PAIRS_INPUT)
    assert result.stats.num_winners == 1 and result.winners[0].row_count == 10


def test_options_of_processes_are_taken(place: Place):
    options = PythonWriteOptions(parallel=True, max_queue_size=3)
    config = HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix)
    assert write_hash_sharded(numbers(10).items(), config, PAIRS_INPUT, options).stats.rows_written == 10


def test_collectors_hear_of_the_write(place: Place):
    collector = ListMetricsCollector()
    place.publish(numbers(1000), metrics_collector=collector, batch_size=100)
    assert [event for event, _ in collector.events][0] is MetricEvent.WRITE_STARTED
    assert [event for event, _ in collector.events][-1] is MetricEvent.WRITE_COMPLETED
    completed = collector.named(MetricEvent.SHARD_WRITE_COMPLETED)
    assert len(completed) == 4 and sum(event["row_count"] for event in completed) == 1000
    assert sum(event["batch_size"] for event in collector.named(MetricEvent.BATCH_WRITTEN)) == 1000
    assert collector.named(MetricEvent.WRITE_COMPLETED)[0]["rows_written"] == 1000
    assert len(collector.named(MetricEvent.MANIFEST_PUBLISHED)) == 1


def test_events_are_logged_with_their_run(place: Place, caplog):
    with caplog.at_level("INFO", "shardyfusion"):
        result = place.publish(numbers(10))
    logged = {record.message: record.shardyfusion for record in caplog.records}
    assert {"write_started", "shard_write_completed", "manifest_published", "write_completed"} <= set(logged)
    assert logged["write_completed"]["rows_written"] == 10
    assert {fields["run_id"] for event, fields in logged.items() if not event.startswith("reader")} == {result.run_id}


def test_own_fields_enter_the_manifest(place: Place):
    result = place.publish(numbers(10), manifest=WriterManifestConfig(custom_manifest_fields={"owner": "me"}))
    with sqlite3.connect(path_of(result.manifest_ref)) as con:
        custom = json.loads(con.execute("SELECT custom FROM build_meta").fetchone()[0])
    assert custom["owner"] == "me" and "datashard" in custom
    with pytest.raises(ConfigValidationError, match="no JSON"):
        place.publish({}, manifest=WriterManifestConfig(custom_manifest_fields={"owner": object()}))


def test_a_registry_of_a_user_keeps_the_record(place: Place):
    registry = InMemoryRunRegistry()
    result = place.publish(numbers(10), run_registry=registry)
    record = registry.load(result.run_record_ref)
    assert record.status is RunStatus.SUCCEEDED and record.run_id == result.run_id and record.writer_type == "python"
    assert record.manifest_ref == result.manifest_ref


def test_a_failed_run_is_recorded(place: Place):
    registry = InMemoryRunRegistry()
    with pytest.raises(ConfigValidationError):
        write_hash_sharded([(-1, b"")], HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix, run_registry=registry), PAIRS_INPUT)
    (record,) = registry._records.values()
    assert record.status is RunStatus.FAILED


def test_a_registry_that_fails_does_not_end_the_write(place: Place):
    class Broken:
        def create(self, record):
            raise OSError("registry is away")

        def update(self, ref, record): ...
        def load(self, ref): ...

    assert place.publish(numbers(10), run_registry=Broken()).stats.rows_written == 10


def test_adapters_of_a_user_build_the_shards(place: Place, tmp_path):
    root = str(tmp_path / "files")
    result = place.publish(numbers(100), adapter_factory=file_backed_adapter_factory(root), batch_size=7)
    assert result.stats.rows_written == 100
    with place.reader(reader_factory=FileBackedReaderFactory(root)) as reader:
        assert reader.multi_get(list(range(101))) == {**numbers(100), 100: None}


def test_adapters_in_memory_do_as_well(place: Place):
    assert place.publish(numbers(100), adapter_factory=fake_adapter_factory).stats.num_winners == 4


def test_a_shard_that_fails_once_is_written_again(place: Place, tmp_path):
    collector = ListMetricsCollector()
    from datetime import timedelta

    root = str(tmp_path / "files")
    factory = FailOnceAdapterFactory(file_backed_adapter_factory(root), str(tmp_path / "marker"))
    retry = RetryConfig(max_retries=2, initial_backoff=timedelta(milliseconds=1))
    result = place.publish(numbers(100), adapter_factory=factory, shard_retry=retry, metrics_collector=collector)
    assert 1 in [shard.attempt for shard in result.winners]
    assert collector.named(MetricEvent.SHARD_WRITE_RETRIED)[0]["attempt"] >= 0
    with place.reader(reader_factory=FileBackedReaderFactory(root)) as reader:
        assert reader.multi_get(list(range(100))) == numbers(100)


def test_what_an_adapter_raises_is_the_cause(place: Place):
    def broken(*, db_url, local_dir):
        raise RuntimeError("no such engine")

    with pytest.raises(ShardyfusionError) as raised:
        place.publish(numbers(10), adapter_factory=broken)
    assert isinstance(raised.value.__cause__, RuntimeError)


class NotYet(InMemoryManifestStore):
    """A store whose pointer moves at the second try."""

    tries = 0

    def publish(self, **manifest):
        before = self._current
        ref = super().publish(**manifest)
        self._current = before
        raise PublishCurrentError("not yet", manifest_ref=ref)

    def set_current(self, ref):
        self.tries += 1
        if self.tries == 1:
            raise PublishCurrentError("not yet", manifest_ref=ref)
        super().set_current(ref)


@pytest.fixture
def no_delays(monkeypatch):
    monkeypatch.setattr("shardyfusion._bridges.POINTER_DELAYS_S", (0.0, 0.0, 0.0))


def test_a_pointer_is_moved_again(place: Place, no_delays):
    store = NotYet()
    result = place.publish(numbers(10), manifest=WriterManifestConfig(store=store))
    assert store.tries == 2 and store.load_current().ref == result.manifest_ref


def test_a_pointer_that_cannot_be_moved_is_told_with_the_manifest(place: Place, no_delays):
    class Stuck(InMemoryManifestStore):
        def publish(self, **manifest):
            ref = super().publish(**manifest)
            self._current = None
            raise PublishCurrentError("stuck", manifest_ref=ref)

        def set_current(self, ref):
            raise PublishCurrentError("still stuck", manifest_ref=ref)

    with pytest.raises(PublishCurrentError) as raised:
        place.publish(numbers(10), manifest=WriterManifestConfig(store=Stuck()))
    assert raised.value.manifest_ref is not None and raised.value.retryable


def test_nothing_is_left_on_this_machine(place: Place, tmp_path):
    from shardyfusion import WriterOutputConfig

    local = tmp_path / "work"
    output = WriterOutputConfig(local_root=str(local))
    place.publish(numbers(1000), output=output)
    with pytest.raises(ConfigValidationError):
        place.publish({-1: b""}, output=output)
    assert not list(local.rglob("*")) or not [path for path in local.rglob("*") if path.is_file()]
