"""Configs check themselves, take options by either name, and travel."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest

import shardyfusion.config as config_module
from shardyfusion import (BufferingOptions, CelShardedWriteConfig, CelShardingConfig, CelShardingSpec, ColumnWriteInput, ConfigValidationError,
                          DaskWriteOptions, HashShardedWriteConfig, HashShardingConfig, HashShardingSpec, KeyEncoding, KeyValueWriteConfig,
                          KvWriteRateLimitConfig, PythonRecordInput, PythonWriteOptions, RayWriteOptions, RetryConfig, ShardAssignmentError,
                          SharedMemoryOptions, ShardingSpec, SingleDbWriteConfig, SingleDbWriteOptions, SparkWriteOptions,
                          StaticCredentialProvider, ValueSpec, WriterLifecycleConfig, WriterManifestConfig, WriterObservabilityConfig,
                          WriterOutputConfig, WriterRetryConfig, WriterStorageConfig)
from shardyfusion.config import WriteConfig, validate_configs, validate_shard_id_col_no_collision
from shardyfusion.testing import ListMetricsCollector, fake_adapter_factory

PREFIX = "s3://bucket/some/prefix"


@pytest.mark.parametrize(("kind", "wrong"), [
    *((WriterStorageConfig, {"s3_prefix": value}) for value in ("", "bucket/p", "s3://", "s3://bucket", "s3://bucket/", "gs://b/p", None,
                                                                "file://relative", "file:///a/../b")),
    *((WriterOutputConfig, {name: value}) for name in ("shard_prefix", "run_registry_prefix") for value in ("", "a/b", "..", "a..b", "a b", None)),
    *((WriterOutputConfig, {"db_path_template": value}) for value in ("db", "{other}", "{db_id", "{}", "../{db_id}", "a//{db_id}", None)),
    *((WriterOutputConfig, {"run_id": value}) for value in ("", "a/b", "..")),
    (WriterManifestConfig, {"custom_manifest_fields": []}),
    *((KeyValueWriteConfig, {"batch_size": value}) for value in (0, -1, True, 1.5, None)),
    (KeyValueWriteConfig, {"key_encoding": "u16be"}), (KeyValueWriteConfig, {"adapter_factory": 5}),
    (KeyValueWriteConfig, {"profile_value_sizes_for_page_size": 1}),
    (HashShardingConfig, {}), (HashShardingConfig, {"num_dbs": 1, "max_keys_per_shard": 1}), (HashShardingConfig, {"num_dbs": 0}),
    (HashShardingConfig, {"max_keys_per_shard": -1}), (HashShardingConfig, {"num_dbs": True}),
    (CelShardingConfig, {}), (CelShardingConfig, {"cel_expr": " ", "cel_columns": {"a": "int"}}), (CelShardingConfig, {"cel_expr": "a"}),
    (CelShardingConfig, {"cel_expr": "a", "cel_columns": {"a": "text"}}),
    (CelShardingConfig, {"cel_expr": "a", "cel_columns": {"a": "int"}, "routing_values": [1, 1]}),
    (CelShardingConfig, {"cel_expr": "a", "cel_columns": {"a": "int"}, "routing_values": [1], "infer_routing_values_from_data": True}),
    (WriterRetryConfig, {"shard_retry": 3}), (RetryConfig, {"max_retries": -1}), (RetryConfig, {"backoff_multiplier": 0.5}),
    (RetryConfig, {"initial_backoff": timedelta(seconds=-1)}),
    *((KvWriteRateLimitConfig, {name: value}) for name in ("max_writes_per_second", "max_write_bytes_per_second")
      for value in (0, -1.5, float("nan"), float("inf"), "9", True)),
    (WriterObservabilityConfig, {"metrics_collector": 1}), (WriterLifecycleConfig, {"run_registry": 1}),
    (PythonRecordInput, {"key_fn": 1, "value_fn": len}), (PythonRecordInput, {"key_fn": len, "value_fn": None}),
    (PythonRecordInput, {"key_fn": len, "value_fn": len, "columns_fn": 1}), (PythonRecordInput, {"key_fn": len, "value_fn": len, "vector_fn": len}),
    (ColumnWriteInput, {"key_col": "", "value_spec": ValueSpec.json_cols()}), (ColumnWriteInput, {"key_col": "k", "value_spec": None}),
    (SharedMemoryOptions, {"max_total_bytes": 0}), (SharedMemoryOptions, {"max_bytes_per_worker": -1}),
    (BufferingOptions, {"max_total_batched_items": 0}), (BufferingOptions, {"max_total_batched_bytes": 0}),
    (PythonWriteOptions, {"parallel": 1}), (PythonWriteOptions, {"max_queue_size": 0}), (SparkWriteOptions, {"cache_input": None}),
    (DaskWriteOptions, {"verify_routing": "yes"}), (RayWriteOptions, {"sort_within_partitions": 0}), (SingleDbWriteOptions, {"num_partitions": 0}),
    (SingleDbWriteOptions, {"sort_keys": 1}),
])
def test_a_bad_option_is_refused_when_the_object_is_made(kind, wrong):
    with pytest.raises(ConfigValidationError):
        kind(**wrong)


def test_defaults_are_those_that_programs_know():
    output, kv, options = WriterOutputConfig(), KeyValueWriteConfig(), PythonWriteOptions()
    assert (output.run_id, output.db_path_template, output.shard_prefix, output.run_registry_prefix) == (None, "db={db_id:05d}", "shards", "runs")
    assert output.local_root.endswith("/shardyfusion")
    assert (kv.key_encoding, kv.batch_size) == (KeyEncoding.U64BE, 50_000)
    assert (options.parallel, options.max_queue_size, options.shared_memory.max_total_bytes) == (False, 100, 256 * 2**20)
    assert (options.shared_memory.max_bytes_per_worker, SharedMemoryOptions(None, None).max_total_bytes) == (32 * 2**20, None)
    assert (SparkWriteOptions().verify_routing, SingleDbWriteOptions().sort_keys) == (True, True)
    assert HashShardedWriteConfig(num_dbs=1, s3_prefix=PREFIX).shard_id_col == "_shard_id"
    assert [round(RetryConfig().backoff_s(attempt)) for attempt in range(3)] == [1, 2, 4]


FLAT = {"s3_prefix": PREFIX, "credential_provider": StaticCredentialProvider("a"), "s3_connection_options": {"region_name": "r"},
        "key_encoding": KeyEncoding.RAW, "batch_size": 7, "adapter_factory": fake_adapter_factory, "metrics_collector": ListMetricsCollector(),
        "shard_retry": RetryConfig(1), "max_writes_per_second": 5, "max_write_bytes_per_second": 1e6}


def test_options_are_given_and_changed_by_their_own_names():
    config = HashShardedWriteConfig(num_dbs=4, **FLAT)
    assert {name: getattr(config, name) for name in FLAT} == FLAT
    assert (config.storage.s3_prefix, config.kv.batch_size, config.rate_limits.max_writes_per_second) == (PREFIX, 7, 5)
    shared = config.kv
    config.batch_size = 9
    assert (config.kv.batch_size, config.batch_size, shared.batch_size) == (9, 9, 7)
    with pytest.raises(ConfigValidationError, match="batch_size"):
        config.batch_size = 0
    assert config.batch_size == 9 and config.num_dbs == 4 and config.max_keys_per_shard is None


@pytest.mark.parametrize(("part", "flat"), [
    ({"storage": WriterStorageConfig(PREFIX)}, {"s3_prefix": PREFIX}), ({"kv": KeyValueWriteConfig()}, {"batch_size": 5, "s3_prefix": PREFIX}),
    ({"sharding": HashShardingConfig(1)}, {"num_dbs": 1, "s3_prefix": PREFIX}), ({"kv": WriterOutputConfig()}, {"num_dbs": 1, "s3_prefix": PREFIX}),
])
def test_an_object_beside_its_own_options_is_an_error(part, flat):
    with pytest.raises(ConfigValidationError, match="give one of them|is a KeyValueWriteConfig"):
        HashShardedWriteConfig(**{"num_dbs": 1} if "sharding" not in part and "num_dbs" not in flat else {}, **part, **flat)


def test_each_kind_of_sharding_has_its_config():
    cel = CelShardedWriteConfig(s3_prefix=PREFIX + "/", cel_expr="region", cel_columns={"region": "string"}, routing_values=["eu"])
    assert (cel.cel_expr, cel.cel_columns, cel.routing_values, cel.infer_routing_values_from_data) == ("region", {"region": "string"}, ["eu"], False)
    assert cel.s3_prefix == PREFIX
    assert SingleDbWriteConfig(s3_prefix="file:///srv/x").num_dbs == 1
    assert HashShardedWriteConfig(s3_prefix=PREFIX, max_keys_per_shard=10).max_keys_per_shard == 10
    with pytest.raises(ConfigValidationError):
        HashShardedWriteConfig(s3_prefix=PREFIX)
    with pytest.raises(ConfigValidationError, match="vector"):
        SingleDbWriteConfig(s3_prefix=PREFIX, vector_spec=object())


def test_one_config_describes_every_sharding_for_write_sharded():
    assert WriteConfig(8, PREFIX).sharding == HashShardingSpec()
    assert WriteConfig(s3_prefix=PREFIX, sharding=ShardingSpec("range", [10, 20])).num_dbs == 3
    assert WriteConfig(4, PREFIX, sharding=ShardingSpec("range")).num_dbs == 4
    assert WriteConfig(s3_prefix=PREFIX, sharding=CelShardingSpec(cel_expr="key % 4", cel_columns={"key": "int"})).num_dbs is None
    assert WriteConfig(s3_prefix=PREFIX, sharding=HashShardingSpec(max_keys_per_shard=5), output=WriterOutputConfig(run_id="r")).output.run_id == "r"
    assert config_module.OutputOptions is WriterOutputConfig and config_module.ManifestOptions is WriterManifestConfig


@pytest.mark.parametrize(("wrong", "kind"), [
    ({}, ConfigValidationError), ({"num_dbs": 0}, ConfigValidationError), ({"sharding": "hash", "num_dbs": 1}, ConfigValidationError),
    ({"num_dbs": 2, "sharding": ShardingSpec("range", [1, 2])}, ShardAssignmentError), ({"sharding": ShardingSpec("range", [2, 1])}, ShardAssignmentError),
    ({"sharding": ShardingSpec("range")}, ConfigValidationError), ({"sharding": CelShardingSpec()}, ConfigValidationError),
    ({"sharding": ShardingSpec("cel"), "num_dbs": 2}, ConfigValidationError),
    ({"num_dbs": 2, "sharding": HashShardingSpec(max_keys_per_shard=5)}, ConfigValidationError),
])
def test_a_description_that_contradicts_itself_is_refused(wrong, kind):
    with pytest.raises(kind):
        WriteConfig(s3_prefix=PREFIX, **wrong)


def test_configs_travel_and_do_not_show_secrets():
    config = HashShardedWriteConfig(num_dbs=4, **{**FLAT, "metrics_collector": None, "credential_provider": StaticCredentialProvider("id", "hidden")})
    assert pickle.loads(pickle.dumps(config)) == config
    assert "hidden" not in repr(config) and "num_dbs=4" in repr(config)


def test_a_change_behind_its_back_is_found_by_validate():
    config = HashShardedWriteConfig(num_dbs=4, s3_prefix=PREFIX)
    config.kv.batch_size = -1
    for check in (config.validate, lambda: validate_configs(None, config)):
        with pytest.raises(ConfigValidationError, match="batch_size"):
            check()


def test_the_temporary_column_must_not_be_in_the_data():
    config = HashShardedWriteConfig(num_dbs=1, s3_prefix=PREFIX, shard_id_col="s")
    validate_shard_id_col_no_collision(config, {"_shard_id", "k"})
    with pytest.raises(ConfigValidationError, match="'s'"):
        validate_shard_id_col_no_collision(config, {"s"})
    with pytest.raises(ConfigValidationError, match="shard_id_col"):
        HashShardedWriteConfig(num_dbs=1, s3_prefix=PREFIX, shard_id_col="")
