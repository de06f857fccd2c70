"""Options of wrong types and sizes: each is taken or refused as a ConfigValidationError, nothing else comes out."""

from __future__ import annotations

import dataclasses
import math
import pickle
from datetime import timedelta
from pathlib import Path

import pytest
from snapshots import PAIRS_INPUT, Place, numbers

from shardyfusion import config as configs
from shardyfusion import testing
from shardyfusion.cel import cel_sharding_by_columns
from shardyfusion.config import HashShardedWriteConfig, WriteConfig
from shardyfusion.credentials import EnvCredentialProvider, StaticCredentialProvider
from shardyfusion.errors import ConfigValidationError, ShardyfusionError
from shardyfusion.reader import AsyncSlateDbReaderFactory, SlateDbReaderFactory
from shardyfusion.sharding_types import ShardingSpec, ShardingStrategy
from shardyfusion.slatedb_adapter import SlateDbFactory, SlateDbSettings
from shardyfusion.sqlite_adapter import (AdaptiveSqliteReaderFactory, AsyncSqliteReaderFactory, SqliteFactory, SqliteRangeReaderFactory,
                                         SqliteReaderFactory)
from shardyfusion.type_defs import RetryConfig
from shardyfusion.writer.python import write_hash_sharded

JUNK = [None, 5, -1, 0, 2**70, 1.5, math.nan, math.inf, "", "x", "../x", "a/b", b"bytes", [], ["x"], {}, {"x": []}, {1: 2}, object(), print,
        timedelta(-1), True, "\0", "\ud800"]
PARTS = [kind for kind in vars(configs).values()
         if dataclasses.is_dataclass(kind) and not issubclass(kind, configs.BaseShardedWriteConfig)]


@pytest.mark.parametrize(("kind", "name"), [(kind, field.name) for kind in [*PARTS, RetryConfig] for field in dataclasses.fields(kind)])
def test_a_part_takes_an_option_or_refuses_it(kind, name):
    needed = {"PythonRecordInput": {"key_fn": print, "value_fn": print}, "VectorColumnInput": {"vector_col": "v"},
              "ColumnWriteInput": {"key_col": "k", "value_spec": SqliteFactory}, "HashShardingConfig": {"num_dbs": 1},
              "CelShardingConfig": {"cel_expr": "key", "cel_columns": {"key": "int"}}}.get(kind.__name__, {})
    if name == "max_keys_per_shard":
        needed = {}
    for junk in JUNK:
        try:
            kind(**{**needed, name: junk})
        except ConfigValidationError:
            pass


@pytest.mark.parametrize("kind", [configs.HashShardedWriteConfig, configs.CelShardedWriteConfig, configs.SingleDbWriteConfig, WriteConfig])
@pytest.mark.parametrize("name", ["storage", "output", "manifest", "kv", "retry", "rate_limits", "observability", "lifecycle", "vector",
                                  "shard_id_col", "s3_prefix", "key_encoding", "batch_size", "adapter_factory", "metrics_collector",
                                  "run_registry", "shard_retry", "credential_provider", "s3_connection_options", "max_writes_per_second"])
def test_a_whole_config_takes_an_option_or_refuses_it(kind, name):
    needed = {"HashShardedWriteConfig": {"num_dbs": 1}, "WriteConfig": {"num_dbs": 1},
              "CelShardedWriteConfig": {"cel_expr": "key", "cel_columns": {"key": "int"}}}.get(kind.__name__, {})
    for junk in JUNK:
        try:
            kind(**{"s3_prefix": "s3://b/p", **needed, name: junk})
        except ConfigValidationError:
            pass


@pytest.mark.parametrize("junk", JUNK)
def test_descriptions_of_sharding_are_taken_or_refused(junk):
    for make in (lambda: ShardingSpec(junk), lambda: ShardingSpec("range", boundaries=junk), lambda: WriteConfig(sharding=junk, s3_prefix="s3://b/p"),
                 lambda: WriteConfig(num_dbs=junk, s3_prefix="s3://b/p"), lambda: cel_sharding_by_columns("a", num_shards=junk)):
        try:
            make()
        except ShardyfusionError:
            pass
    if not (isinstance(junk, str) and junk in [strategy.value for strategy in ShardingStrategy]):
        with pytest.raises(ValueError):
            ShardingStrategy.from_value(junk)


@pytest.mark.parametrize(("options", "wrong"), [
    ({"num_dbs": 2**31}, "num_dbs"), ({"num_dbs": 2**20 + 1}, "num_dbs"), ({"batch_size": 2**63}, "batch_size"),
    ({"adapter_factory": SqliteFactory(page_size=1000)}, "page_size"), ({"adapter_factory": SqliteFactory(page_size="large")}, "page_size"),
    ({"adapter_factory": SlateDbFactory(settings=SlateDbSettings(raw_overrides={"compression_codec": "rar"}))}, "rar"),
    ({"s3_connection_options": {"endpoint": "x"}}, "endpoint"), ({"s3_connection_options": {"max_attempts": "many"}}, "max_attempts"),
    ({"s3_connection_options": {"connect_timeout": "soon"}}, "connect_timeout"), ({"s3_connection_options": ["x"]}, "s3_connection_options"),
    ({"credential_provider": object()}, "credential_provider"),
])
def test_what_only_the_write_can_check_is_a_config_error_too(place: Place, options, wrong):
    with pytest.raises(ConfigValidationError, match=wrong):
        place.publish(numbers(1), **{"num_dbs": 1, **options})
    assert not Path(place.prefix.removeprefix("file://")).exists() or not [*Path(place.prefix.removeprefix("file://")).rglob("manifest")]


@pytest.mark.parametrize("template", ["{db_id:999999999d}", "{db_id.__class__}", "{db_id!r:>300}/x", "a\0{db_id}", "{db_id}\n"])
def test_templates_of_shards_make_names_or_are_refused(place: Place, template):
    try:
        config = HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix, output=configs.WriterOutputConfig(db_path_template=template))
        write_hash_sharded(numbers(1).items(), config, PAIRS_INPUT)
    except ConfigValidationError:
        return
    with place.reader() as reader:
        assert reader.get(0) == b"value 0"


def test_a_provider_that_answers_with_something_else_is_told():
    class Provider:
        def resolve(self):
            return None

    config = HashShardedWriteConfig(num_dbs=1, s3_prefix="s3://bucket/p", credential_provider=Provider())
    with pytest.raises(ConfigValidationError, match="NoneType"):
        write_hash_sharded(numbers(1).items(), config, PAIRS_INPUT)


TRAVELLERS = [
    HashShardedWriteConfig(num_dbs=2, s3_prefix="s3://b/p", adapter_factory=SqliteFactory("auto"), shard_retry=RetryConfig(1)),
    configs.CelShardedWriteConfig(cel_expr="key", cel_columns={"key": "int"}, s3_prefix="s3://b/p"),
    configs.SingleDbWriteConfig(s3_prefix="s3://b/p", credential_provider=StaticCredentialProvider("a", "b")),
    WriteConfig(2, "file:///x", sharding=ShardingSpec("range", boundaries=[1])),
    SlateDbFactory(settings=SlateDbSettings(raw_overrides={"compression_codec": "zstd"})), SqliteFactory(), SlateDbReaderFactory(),
    AsyncSlateDbReaderFactory(), SqliteReaderFactory(), AsyncSqliteReaderFactory(), SqliteRangeReaderFactory(), EnvCredentialProvider(),
    configs.PythonWriteOptions(), configs.SparkWriteOptions(), configs.SingleDbWriteOptions(),
]


@pytest.mark.parametrize("value", TRAVELLERS, ids=lambda value: type(value).__name__)
def test_configs_and_factories_are_the_same_after_a_journey(value):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("value", [AdaptiveSqliteReaderFactory(per_shard_threshold=5), testing.fake_adapter_factory], ids=str)
def test_factories_without_equality_travel_as_well(value):
    back = pickle.loads(pickle.dumps(value))
    assert back is value or vars(back) == vars(value)
