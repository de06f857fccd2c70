"""Building and publishing a snapshot from rows of this process.

Rows are routed, sorted, built into shards and uploaded by the core, on two threads for each core of the machine, within a bound of
memory. Nothing is visible before everything is there: then the manifest is stored and the pointer moved to it.

Without effect are, therefore: `PythonWriteOptions.parallel`, `max_queue_size`, `shared_memory` and `buffering` (there are no worker
processes to feed); limits on the rate of writing hold for the whole write.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any, TypeVar

from ... import _core
from ..._bridges import ManifestBridge, RegistryBridge, adapter_opener, event_sink
from ..._failures import NotSupported
from ..._settings import is_ours, write_fields
from ...cel import compile_cel
from ...config import (BaseShardedWriteConfig, BufferingOptions, CelShardedWriteConfig, ColumnWriteInput, HashShardedWriteConfig,
                       PythonRecordInput, PythonWriteOptions, SharedMemoryOptions, SingleDbWriteConfig, SingleDbWriteOptions, WriteConfig)
from ...errors import ConfigValidationError
from ...logging import FailureSeverity, LogContext, get_logger, log_failure
from ...manifest import BuildDurations, BuildResult, BuildStats, RequiredShardMeta
from ...serde import ValueSpec
from ...sharding_types import CelShardingSpec, HashShardingSpec, ShardingStrategy
from ._progress import Progress
from ._rows import add_rows, count_of

__all__ = ["write_cel_sharded", "write_hash_sharded", "write_sharded", "write_single_db"]

T = TypeVar("T")
_logger = get_logger("writer.python")


def write_hash_sharded(records: Iterable[T], config: HashShardedWriteConfig, input: PythonRecordInput[T] | ColumnWriteInput,
                       options: PythonWriteOptions | None = None) -> BuildResult:
    """Publishes `records`, cut into shards by the hash of their keys.

    records: any iterable with a PythonRecordInput; with a ColumnWriteInput also Arrow tables and streams, pandas and Polars frames,
    whose columns are read without a Python call per row unless the value is a function's. Of equal keys the last one counts.
    Raises: ConfigValidationError (ShardAssignmentError too, for rows), ShardWriteError, PublishManifestError: nothing was published;
    PublishCurrentError: the manifest is stored, and may be current.
    """
    config.validate()
    return _write(records, config, input, _hash_rule(config.num_dbs, config.max_keys_per_shard, records), None, options)


def write_cel_sharded(records: Iterable[T], config: CelShardedWriteConfig, input: PythonRecordInput[T] | ColumnWriteInput,
                      options: PythonWriteOptions | None = None) -> BuildResult:
    """The same, cut by the expression of `config`. Several columns come from `columns_fn`, or from the columns of a ColumnWriteInput."""
    config.validate()
    sharding = config.sharding
    rule = _cel_rule(sharding.cel_expr, sharding.cel_columns, sharding.routing_values, sharding.infer_routing_values_from_data)
    return _write(records, config, input, rule, sharding.cel_columns, options)


def write_single_db(records: Iterable[T], config: SingleDbWriteConfig, input: PythonRecordInput[T] | ColumnWriteInput,
                    options: SingleDbWriteOptions | None = None) -> BuildResult:
    """The same, into one shard. Options are without effect: rows are always sorted, and never counted beforehand."""
    config.validate()
    if options is not None:
        options.validate()
    return _write(records, config, input, {"num_dbs": 1}, None, None)


def write_sharded(data: Iterable[Any], config: WriteConfig, *, key_col: str | None = None, key_fn: Any = None,
                  value_spec: ValueSpec | None = None, value_fn: Any = None, columns_fn: Any = None, parallel: bool = False,
                  max_queue_size: int = 100, max_parallel_shared_memory_bytes: int | None = 256 * 1024 * 1024,
                  max_parallel_shared_memory_bytes_per_worker: int | None = 32 * 1024 * 1024,
                  max_writes_per_second: float | None = None, max_write_bytes_per_second: float | None = None,
                  max_total_batched_items: int | None = None, max_total_batched_bytes: int | None = None,
                  sort_within_partitions: bool = False, verify_routing: bool = True, cache_input: bool = False,
                  storage_level: Any = None, spark_conf_overrides: dict[str, str] | None = None) -> BuildResult:
    """Publishes `data` by any of the strategies of `config.sharding`: hash, range, CEL.

    Key and value are columns (key_col and value_spec) or functions of a record (key_fn and value_fn).
    """
    config.validate()
    rates = {"max_writes_per_second": max_writes_per_second, "max_write_bytes_per_second": max_write_bytes_per_second}
    if any(rate is not None for rate in rates.values()):
        config.rate_limits = type(config.rate_limits)(**rates)
    options = PythonWriteOptions(parallel, max_queue_size,
                                 SharedMemoryOptions(max_parallel_shared_memory_bytes, max_parallel_shared_memory_bytes_per_worker),
                                 BufferingOptions(max_total_batched_items, max_total_batched_bytes))
    taken = _input_of(key_col, key_fn, value_spec, value_fn, columns_fn)
    sharding = config.sharding
    if isinstance(sharding, CelShardingSpec):
        rule = _cel_rule(sharding.cel_expr, sharding.cel_columns, sharding.routing_values, sharding.infer_routing_values_from_data)
        return _write(data, config, taken, rule, sharding.cel_columns, options)
    if sharding.strategy is ShardingStrategy.RANGE:
        if sharding.boundaries is None:
            raise ConfigValidationError("range sharding of Python rows needs boundaries; Spark, Dask and Ray can derive them")
        return _write(data, config, taken, {"boundaries": list(sharding.boundaries)}, None, options)
    if sharding.strategy is ShardingStrategy.CUSTOM_EXPR:
        raise ConfigValidationError("custom expressions of Spark SQL need Spark; say the rule in CEL: CelShardingSpec")
    most = sharding.max_keys_per_shard if isinstance(sharding, HashShardingSpec) else None
    return _write(data, config, taken, _hash_rule(config.num_dbs, most, data), None, options)


def _input_of(key_col: str | None, key_fn: Any, value_spec: ValueSpec | None, value_fn: Any,
              columns_fn: Any) -> PythonRecordInput[Any] | ColumnWriteInput:
    if key_col is not None and value_spec is not None and key_fn is None and value_fn is None:
        return ColumnWriteInput(key_col, value_spec)
    if key_fn is not None and value_fn is not None and key_col is None and value_spec is None:
        return PythonRecordInput(key_fn, value_fn, columns_fn)
    raise ConfigValidationError("give key_col and value_spec, or key_fn and value_fn")


def _hash_rule(num_dbs: int | None, max_keys_per_shard: int | None, data: Any) -> dict[str, Any]:
    if num_dbs is None:
        assert max_keys_per_shard is not None
        num_dbs = max(1, -(-count_of(data) // max_keys_per_shard))
    return {"num_dbs": num_dbs}


def _cel_rule(expr: str, columns: dict[str, str], routing_values: Any, infer: bool) -> dict[str, Any]:
    return {"cel": {"expr": expr, "columns": dict(columns), "routing_values": routing_values, "infer_routing_values": infer}}


def _parts(config: BaseShardedWriteConfig, run_id: str) -> dict[str, Any]:
    """The user's own parts of the write."""
    parts: dict[str, Any] = {"events": event_sink(config.observability.metrics_collector, run_id)}
    if config.manifest.store is not None:
        parts["manifests"] = ManifestBridge(config.manifest.store)
    if config.lifecycle.run_registry is not None:
        parts["registry"] = RegistryBridge(config.lifecycle.run_registry)
    if not is_ours(config.kv.adapter_factory):
        parts["adapters"] = adapter_opener(config.kv.adapter_factory)
    return parts


def _start(fields: dict[str, Any], parts: dict[str, Any]) -> _core.Writer:
    """An expression that the core does not compile is evaluated by cel-expr-python."""
    try:
        return _core.Writer(fields, parts)
    except NotSupported:
        cel = fields.get("cel")
        if cel is None:
            raise
    compiled = compile_cel(cel["expr"], cel["columns"])
    names = compiled.columns_list
    return _core.Writer(fields, {**parts, "evaluate_cel": lambda values: compiled.evaluate(dict(zip(names, values)))})


def _write(data: Any, config: BaseShardedWriteConfig, taken: PythonRecordInput[Any] | ColumnWriteInput, rule: dict[str, Any],
           cel_columns: dict[str, str] | None, options: PythonWriteOptions | None) -> BuildResult:
    taken.validate()
    if options is not None:
        options.validate()
    key_col = taken.key_col if isinstance(taken, ColumnWriteInput) else "_key"
    run_id = config.output.run_id or uuid.uuid4().hex
    fields = {**write_fields(config, writer_type="python", key_col=key_col, threads=0), **rule, "run_id": run_id}
    progress = Progress()
    with LogContext(run_id=run_id):
        writer = _start(fields, _parts(config, run_id))
        try:
            add_rows(writer, data, taken, cel_columns, progress)
            progress.building()
            built = writer.finish()
        except BaseException as error:
            log_failure("write_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger)
            writer.abandon(hurry=not isinstance(error, Exception))
            raise
        finally:
            progress.finish()
    return result_of(built)


def result_of(built: dict[str, Any]) -> BuildResult:
    winners = [RequiredShardMeta(**shard) for shard in built["winners"]]
    durations = BuildDurations(built["sharding_ms"], built["write_ms"], built["manifest_ms"], built["total_ms"])
    stats = BuildStats(durations, built["num_attempt_results"], len(winners), built["rows_written"])
    return BuildResult(built["run_id"], winners, built["manifest_ref"], stats, built["run_record_ref"])
