"""Every module, name, parameter and default that programs written for release 0.1.0 use (without vectors, and without the writers of other
frameworks). What we have beside them is not looked at; it may not come before them."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import tempfile
import typing
from datetime import timedelta
from pathlib import Path

import pytest

import shardyfusion

EXPORTED = """
AcquireResult AsyncManifestStore AsyncS3ManifestStore AsyncShardReader AsyncShardReaderFactory AsyncShardReaderHandle AsyncShardedReader
AsyncSlateDbReaderFactory BaseShardedWriteConfig BufferingOptions BuildDurations BuildResult BuildStats CelColumn CelShardedWriteConfig
CelShardingConfig CelShardingSpec CelType ColumnWriteInput ConcurrentShardedReader ConfigValidationError CredentialProvider CurrentPointer
DaskWriteOptions DbAdapter DbAdapterError DbAdapterFactory EnvCredentialProvider FailureSeverity HashShardedWriteConfig HashShardingConfig
HashShardingSpec InMemoryManifestStore InMemoryRunRegistry JsonFormatter KeyEncoding KeyValueWriteConfig KvWriteRateLimitConfig LocalSlateDbFactory
LogContext ManifestArtifact ManifestBuildError ManifestParseError ManifestRef ManifestShardingSpec ManifestStore ManifestStoreError MetricEvent
MetricsCollector ParsedManifest PoolExhaustedError PublishCurrentError PublishManifestError PythonRecordInput PythonWriteOptions RateLimiter
RayWriteOptions ReaderHealth ReaderStateError RequiredBuildMeta RequiredShardMeta RetryConfig RunRecord RunRecordLifecycle RunRegistry RunStatus
S3ConnectionOptions S3Credentials S3ManifestStore S3RunRegistry S3TransientError SQLITE_MANIFEST_CONTENT_TYPE ShardAssignmentError ShardCoverageError
ShardDetail ShardHashAlgorithm ShardLookup ShardReader ShardReaderFactory ShardReaderHandle ShardWriteError ShardedReader ShardingSpec
ShardingStrategy ShardyfusionError SharedMemoryOptions SingleDbWriteConfig SingleDbWriteOptions SlateDbFactory SlateDbReaderFactory SlateDbSettings
SnapshotInfo SnapshotRouter SparkWriteOptions SqliteManifestBuilder SqliteShardLookup StaticCredentialProvider ThreadSafeTokenBucket TokenBucket
ValueSpec WriterInfo WriterLifecycleConfig WriterManifestConfig WriterObservabilityConfig WriterOutputConfig WriterRetryConfig WriterStorageConfig
cel_sharding cel_sharding_by_columns configure_logging get_logger load_sqlite_build_meta parse_manifest_payload parse_sqlite_manifest
"""

# A module; below it its functions, and its classes with their fields, properties (writable ones are marked) and methods.
NAMES = r"""
shardyfusion.async_manifest_store:
class AsyncManifestStore of Protocol | async load_current(); async load_manifest(ref); async list_manifests(*, limit=10)
class AsyncS3ManifestStore | __init__(backend, s3_prefix, *, manifest_name='manifest', current_pointer_key='_CURRENT'); async load_current(); async
  load_manifest(ref); async list_manifests(*, limit=10)
shardyfusion.cel:
class CompiledCel | __init__(env, expr, columns); property columns; property columns_list; evaluate(context)
class UnknownRoutingTokenError of ValueError
def compile_cel(expr, columns)
def compile_cel_cached(expr, columns_key)
def evaluate_cel_arrow_batch(compiled, batch)
def route_cel_batch(compiled, batch, routing_values=None)
def route_cel(compiled, context, routing_values=None, lookup=None)
def build_categorical_routing_lookup(routing_values)
def resolve_cel_routing_key(routing_key, *, routing_values=None, lookup=None)
class CelType of str, Enum | INT = 'int'; STRING = 'string'; BYTES = 'bytes'; DOUBLE = 'double'; BOOL = 'bool'; UINT = 'uint'
class CelColumn | name; type = CelType.STRING
def cel_sharding(expr, columns, *, routing_values=None)
def cel_sharding_by_columns(*columns, num_shards=None, separator=':')
def pandas_rows_to_contexts(pdf, cel_columns)
def validate_cel_columns(arrow_schema, cel_columns)
shardyfusion.config:
class ValidatableConfig of Protocol | validate()
def validate_configs(*configs)
class WriterStorageConfig | s3_prefix = ''; credential_provider = None; s3_connection_options = None; validate()
class WriterOutputConfig | run_id = None; db_path_template = 'db={db_id:05d}'; shard_prefix = 'shards'; run_registry_prefix = 'runs'; local_root =
  LOCAL_ROOT; validate()
class WriterManifestConfig | store = None; custom_manifest_fields = dict(); credential_provider = None; s3_connection_options = None; validate()
class KeyValueWriteConfig | key_encoding = KeyEncoding.U64BE; batch_size = 50000; adapter_factory = None; profile_value_sizes_for_page_size = False;
  validate()
class HashShardingConfig | num_dbs = None; max_keys_per_shard = None; validate()
class CelShardingConfig | cel_expr = ''; cel_columns = dict(); routing_values = None; infer_routing_values_from_data = False; validate()
class WriterRetryConfig | shard_retry = None; validate()
class KvWriteRateLimitConfig | max_writes_per_second = None; max_write_bytes_per_second = None; validate()
class VectorWriteRateLimitConfig | max_writes_per_second = None; validate()
class WriterObservabilityConfig | metrics_collector = None; validate()
class WriterLifecycleConfig | run_registry = None; validate()
class BaseShardedWriteConfig | storage = WriterStorageConfig(); output = WriterOutputConfig(); manifest = WriterManifestConfig(); kv =
  KeyValueWriteConfig(); retry = WriterRetryConfig(); rate_limits = KvWriteRateLimitConfig(); observability = WriterObservabilityConfig(); lifecycle =
  WriterLifecycleConfig(); vector = None; shard_id_col = DB_ID_COL; __init__(*, storage=None, output=None, manifest=None, kv=None, retry=None,
  rate_limits=None, observability=None, lifecycle=None, vector=None, shard_id_col=DB_ID_COL, s3_prefix=None, key_encoding=None, batch_size=None,
  adapter_factory=None, metrics_collector=None, run_registry=None, shard_retry=None, credential_provider=None, s3_connection_options=None,
  vector_spec=None, max_writes_per_second=None, max_write_bytes_per_second=None); validate(); writable s3_prefix; writable credential_provider;
  writable s3_connection_options; writable key_encoding; writable batch_size; writable adapter_factory; writable metrics_collector; writable
  run_registry; writable shard_retry; writable vector_spec
class HashShardedWriteConfig of BaseShardedWriteConfig | sharding = HashShardingConfig(); __init__(*, sharding=None, num_dbs=None,
  max_keys_per_shard=None, **base_kwargs); validate(); property num_dbs; property max_keys_per_shard
class CelShardedWriteConfig of BaseShardedWriteConfig | sharding = CelShardingConfig(); __init__(*, sharding=None, cel_expr=None, cel_columns=None,
  routing_values=None, infer_routing_values_from_data=None, **base_kwargs); validate(); property cel_expr; property cel_columns; property
  routing_values; property infer_routing_values_from_data
class SingleDbWriteConfig of BaseShardedWriteConfig | __init__(**base_kwargs); validate(); property num_dbs
class PythonRecordInput of Generic[T] | key_fn; value_fn; columns_fn = None; vector_fn = None; validate()
class VectorColumnInput | vector_col; id_col = None; payload_cols = None; shard_id_col = None; routing_context_cols = None; validate()
class ColumnWriteInput | key_col; value_spec; vector = None; vector_fn = None; validate()
class SharedMemoryOptions | max_total_bytes = 256 * 1024 * 1024; max_bytes_per_worker = 32 * 1024 * 1024; validate()
class BufferingOptions | max_total_batched_items = None; max_total_batched_bytes = None; validate()
class PythonWriteOptions | parallel = False; max_queue_size = 100; shared_memory = SharedMemoryOptions(); buffering = BufferingOptions(); validate()
class SparkWriteOptions | sort_within_partitions = False; verify_routing = True; cache_input = False; storage_level = None; spark_conf_overrides =
  None; validate()
class DaskWriteOptions | sort_within_partitions = False; verify_routing = True; validate()
class RayWriteOptions | sort_within_partitions = False; verify_routing = True; validate()
class SingleDbWriteOptions | sort_keys = True; num_partitions = None; prefetch_partitions = True; cache_input = True; storage_level = None;
  spark_conf_overrides = None; validate()
def validate_shard_id_col_no_collision(config, user_columns)
shardyfusion.credentials:
class S3Credentials | access_key_id = None; secret_access_key = None; session_token = None
class CredentialProvider of Protocol | resolve()
class StaticCredentialProvider | access_key_id = None; secret_access_key = None; session_token = None; resolve()
class EnvCredentialProvider | resolve()
def materialize_env_file(creds, *, connection_options=None)
def remove_env_file(path)
def resolve_env_file(env_file, credential_provider, connection_options=None)
def apply_env_file(env_file)
shardyfusion.db_manifest_store:
class PostgresManifestStore | __init__(connection_factory, *, table_name='shardyfusion_manifests', pointer_table_name='shardyfusion_pointer',
  ensure_table=True); publish(*, run_id, required_build, shards, custom); load_current(); load_manifest(ref); list_manifests(*, limit=10);
  set_current(ref)
shardyfusion.errors:
class ShardyfusionError of Exception | retryable = False
class ConfigValidationError of ShardyfusionError | retryable = False
class ShardAssignmentError of ShardyfusionError | retryable = False
class ShardCoverageError of ShardyfusionError | retryable = False
class DbAdapterError of ShardyfusionError | retryable = False
class BridgeTimeoutError of ShardyfusionError | retryable = True
class ManifestBuildError of ShardyfusionError | retryable = False
class PublishManifestError of ShardyfusionError | retryable = True
class PublishCurrentError of ShardyfusionError | retryable = True; __init__(message, *, manifest_ref=None)
class ManifestParseError of ShardyfusionError | retryable = False
class ReaderStateError of ShardyfusionError | retryable = False
class PoolExhaustedError of ShardyfusionError | retryable = True
class ManifestStoreError of ShardyfusionError | retryable = True
class ShardWriteError of ShardyfusionError | retryable = True
class S3TransientError of ShardyfusionError | retryable = True
class VectorIndexError of ShardyfusionError | retryable = False
class VectorSearchError of ShardyfusionError | retryable = False
shardyfusion.local_slatedb_adapter:
class LocalSlateDbFactory | env_file = None; settings = None; credential_provider = None; bridge_timeouts = SlateDbBridgeTimeouts();
  s3_connection_options = None
class LocalSlateDbAdapter | __init__(*, db_url, local_dir, env_file, settings, bridge_timeouts=None, s3_connection_options=None,
  credential_provider=None); write_batch(pairs); flush(); db_bytes(); seal(); close()
shardyfusion.logging:
class FailureSeverity of str, Enum | TRANSIENT = 'transient'; ERROR = 'error'; CRITICAL = 'critical'
def get_logger(name)
def log_event(event, *, level=logging.INFO, logger=None, **fields)
def log_failure(event, *, severity, error=None, include_traceback=False, logger=None, **fields)
class LogContext | __init__(**fields)
class JsonFormatter of logging.Formatter | format(record)
def configure_logging(level=logging.INFO, json_format=False, stream=None)
shardyfusion.manifest:
class ManifestRef | ref; run_id; published_at
class ManifestShardingSpec of BaseModel | strategy = ShardingStrategy.HASH; routing_values = None; cel_expr = None; cel_columns = None; hash_algorithm
class RequiredBuildMeta of BaseModel | run_id; created_at; num_dbs; s3_prefix; key_col; sharding; db_path_template; shard_prefix; format_version = 4;
  key_encoding = KeyEncoding.U64BE
class WriterInfo | stage_id = None; task_attempt_id = None; attempt = 0; duration_ms = 0
class RequiredShardMeta of BaseModel | db_id; db_url = None; attempt; row_count; db_bytes; min_key = None; max_key = None; checkpoint_id = None;
  writer_info = WriterInfo()
class ParsedManifest of BaseModel | required_build; shards; custom = dict()
class ManifestArtifact | payload; content_type; headers = dict()
class CurrentPointer of BaseModel | manifest_ref; manifest_content_type; run_id; updated_at; format_version = 1
class BuildDurations | sharding_ms; write_ms; manifest_ms; total_ms
class BuildStats | durations; num_attempt_results; num_winners; rows_written
class BuildResult | run_id; winners; manifest_ref; stats; run_record_ref = None
class SqliteManifestBuilder | __init__(); add_custom_field(key, value); build(*, required_build, shards, custom_fields)
shardyfusion.manifest_store:
class ManifestStore of Protocol | publish(*, run_id, required_build, shards, custom); load_current(); load_manifest(ref); list_manifests(*, limit=10);
  set_current(ref)
def parse_current_pointer_to_ref(payload)
def parse_manifest_dir_entry(dir_name, s3_prefix, manifest_name)
class S3ManifestStore | __init__(backend, s3_prefix, *, manifest_name='manifest', current_pointer_key='_CURRENT'); publish(*, run_id, required_build,
  shards, custom); load_current(); load_manifest(ref); list_manifests(*, limit=10); set_current(ref, *, content_type=SQLITE_MANIFEST_CONTENT_TYPE)
class InMemoryManifestStore | __init__(); publish(*, run_id, required_build, shards, custom); load_current(); load_manifest(ref); list_manifests(*,
  limit=10); set_current(ref)
def parse_manifest_payload(payload)
def parse_sqlite_manifest(payload)
def load_sqlite_build_meta(con)
class SqliteShardLookup | __init__(con, num_dbs, *, cache_size=4096); get_shard(db_id)
shardyfusion.metrics.otel:
class OtelCollector | __init__(meter_provider=None, meter_name='shardyfusion'); emit(event, payload)
shardyfusion.metrics.prometheus:
class PrometheusCollector | __init__(registry=None, prefix='shardyfusion_'); emit(event, payload)
shardyfusion.ordering:
def compare_ordered(left, right, *, mismatch_message)
shardyfusion.reader.async_reader:
class AsyncSlateDbReaderFactory | env_file = None; credential_provider = None; s3_connection_options = None
class AsyncShardReaderHandle | __init__(reader, release_fn=None); async get(key); async multi_get(keys); close()
class AsyncShardedReader | __init__(*, s3_prefix, local_root, manifest_store=None, current_pointer_key='_CURRENT', reader_factory=None,
  slate_env_file=None, credential_provider=None, s3_connection_options=None, max_concurrency=None, max_fallback_attempts=3, metrics_collector=None,
  rate_limiter=None); classmethod async open(*, s3_prefix, local_root, manifest_store=None, current_pointer_key='_CURRENT', reader_factory=None,
  slate_env_file=None, credential_provider=None, s3_connection_options=None, max_concurrency=None, max_fallback_attempts=3, metrics_collector=None,
  rate_limiter=None); property key_encoding; snapshot_info(); shard_details(); health(*, staleness_threshold=None); route_key(key, *,
  routing_context=None); shard_for_key(key, *, routing_context=None); shards_for_keys(keys); reader_for_key(key); readers_for_keys(keys); async
  get(key, *, routing_context=None); async multi_get(keys, *, routing_context=None); async refresh(); async close()
shardyfusion.reader.concurrent_reader:
class ConcurrentShardedReader of _BaseShardedReader | __init__(*, s3_prefix, local_root, manifest_store=None, current_pointer_key='_CURRENT',
  reader_factory=None, slate_env_file=None, credential_provider=None, s3_connection_options=None, thread_safety='lock',
  pool_checkout_timeout=timedelta(seconds=30), max_workers=None, max_fallback_attempts=3, metrics_collector=None, rate_limiter=None); property
  key_encoding; snapshot_info(); shard_details(); health(*, staleness_threshold=None); route_key(key, *, routing_context=None); shard_for_key(key, *,
  routing_context=None); shards_for_keys(keys); reader_for_key(key); readers_for_keys(keys); get(key, *, routing_context=None); multi_get(keys, *,
  routing_context=None); refresh(); close()
shardyfusion.reader.reader:
class ShardedReader of _BaseShardedReader | __init__(*, s3_prefix, local_root, manifest_store=None, current_pointer_key='_CURRENT',
  reader_factory=None, slate_env_file=None, credential_provider=None, s3_connection_options=None, max_workers=None, max_fallback_attempts=3,
  metrics_collector=None, rate_limiter=None); property key_encoding; snapshot_info(); shard_details(); health(*, staleness_threshold=None);
  route_key(key, *, routing_context=None); shard_for_key(key, *, routing_context=None); shards_for_keys(keys); reader_for_key(key);
  readers_for_keys(keys); get(key, *, routing_context=None); multi_get(keys, *, routing_context=None); refresh(); close()
shardyfusion.routing:
class ShardLookup of Protocol | get_shard(db_id)
def canonical_bytes(key)
def xxh3_digest(key)
def make_hash_router(num_dbs, algorithm=ShardHashAlgorithm.XXH3_64, *, key_type=None)
def hash_digest(key, algorithm=ShardHashAlgorithm.XXH3_64)
def hash_db_id(key, num_dbs, algorithm=ShardHashAlgorithm.XXH3_64)
def xxh3_db_id(key, num_dbs)
class SnapshotRouter | route_one; encode_lookup_key; __init__(required_build, shards); classmethod from_build_meta(required_build, *, shard_lookup);
  get_shard(db_id); property is_lazy; route(key, *, routing_context=None); group_keys(keys, *, routing_context=None); group_keys_allow_missing(keys,
  *, routing_context=None); route_with_context(routing_context)
shardyfusion.run_registry:
class RunStatus of str, Enum | RUNNING = 'running'; SUCCEEDED = 'succeeded'; FAILED = 'failed'
class RunRecord of BaseModel | format_version = RUN_RECORD_FORMAT_VERSION; run_id; writer_type; status; started_at; updated_at; lease_expires_at;
  s3_prefix; shard_prefix; db_path_template; manifest_ref = None; error_type = None; error_message = None
class RunRegistry of Protocol | create(record); update(ref, record); load(ref)
def parse_run_record(payload)
class S3RunRegistry | __init__(backend, s3_prefix, *, run_registry_prefix='runs'); create(record); update(ref, record); load(ref)
class InMemoryRunRegistry | __init__(); create(record); update(ref, record); load(ref)
def resolve_run_registry(config)
class RunRecordLifecycle | __init__(*, registry, record, ref, lease_duration=DEFAULT_RUN_LEASE_DURATION,
  heartbeat_interval=DEFAULT_RUN_HEARTBEAT_INTERVAL); property run_record_ref; classmethod start(*, config, run_id, writer_type,
  lease_duration=DEFAULT_RUN_LEASE_DURATION, heartbeat_interval=DEFAULT_RUN_HEARTBEAT_INTERVAL); set_manifest_ref(manifest_ref); mark_succeeded();
  mark_failed(exc); close()
shardyfusion.serde:
def make_key_encoder(encoding)
class ValueSpec | encoder; description; encode(row); classmethod binary_col(col_name); classmethod json_cols(cols=None); classmethod
  callable_encoder(fn); referenced_columns()
shardyfusion.sharding_types:
def validate_routing_values(routing_values, *, require_unique=True)
class KeyEncoding of str, Enum | U64BE = 'u64be'; U32BE = 'u32be'; UTF8 = 'utf8'; RAW = 'raw'; classmethod from_value(value)
class ShardingStrategy of str, Enum | HASH = 'hash'; CEL = 'cel'; classmethod from_value(value)
class ShardHashAlgorithm of str, Enum | XXH3_64 = 'xxh3_64'; classmethod from_value(value)
class ShardingSpec | to_manifest_dict()
class HashShardingSpec of ShardingSpec | hash_algorithm = ShardHashAlgorithm.XXH3_64; max_keys_per_shard = None; to_manifest_dict()
class CelShardingSpec of ShardingSpec | cel_expr = ''; cel_columns = dict(); routing_values = None; infer_routing_values_from_data = False;
  to_manifest_dict()
shardyfusion.slatedb_adapter:
class SlateDbBridgeTimeouts | open_s = None; write_s = None; flush_s = None; shutdown_s = None
class SlateDbFactory | env_file = None; settings = None; credential_provider = None; bridge_timeouts = SlateDbBridgeTimeouts(); s3_connection_options
  = None
class DefaultSlateDbAdapter | __init__(*, local_dir, db_url, env_file, settings, bridge_timeouts=None); property db; write_batch(pairs); flush();
  db_bytes(); seal(); close()
shardyfusion.sqlite_adapter:
class SqliteAdapterError of ShardyfusionError | retryable = False
class SidecarUnavailableError of SqliteAdapterError | retryable = False
class BuiltSidecar | frame; body_size; page_size
def build_sidecar_frame(db_path, *, db_bytes=None)
def frame_to_sidecar(frame, db_tag=None, body_size=None, page_size=None)
def extract_sidecar(db_path, *, db_bytes=None, db_tag=None)
def maybe_upload_sidecar(*, backend, db_url, db_path, db_bytes, db_tag=None, built=None)
class SqliteFactory | page_size = 4096; cache_size_pages = -2000; s3_connection_options = None; credential_provider = None; emit_sidecar = True;
  vec_payload_bytes_in_kv_db()
class SqliteAdapter | __init__(*, db_url, local_dir, page_size=4096, cache_size_pages=-2000, s3_connection_options=None, credential_provider=None,
  emit_sidecar=True); write_batch(pairs); flush(); seal(); db_bytes(); sidecar_decompressed_bytes(); close()
class SqliteReaderFactory | mmap_size = 268435456; s3_connection_options = None; credential_provider = None
class SqliteShardReader | __init__(*, db_url, local_dir, checkpoint_id, mmap_size=268435456, s3_connection_options=None, credential_provider=None);
  get(key); close()
class AsyncSqliteReaderFactory | mmap_size = 268435456; s3_connection_options = None; credential_provider = None
class AsyncSqliteShardReader | __init__(inner); async get(key); async close()
class SqliteRangeReaderFactory | page_cache_pages = 1024; s3_connection_options = None; credential_provider = None
class SqliteRangeShardReader | __init__(*, db_url, local_dir, checkpoint_id, page_cache_pages=1024, s3_connection_options=None,
  credential_provider=None); get(key); close()
class AsyncSqliteRangeReaderFactory | page_cache_pages = 1024; s3_connection_options = None; credential_provider = None
class AsyncSqliteRangeShardReader | __init__(inner); async get(key); async close()
def decide_access_mode(*, db_bytes_per_shard, per_shard_threshold=DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
  total_budget=DEFAULT_AUTO_TOTAL_BUDGET_BYTES)
class SqliteAccessPolicy of Protocol | decide(db_bytes_per_shard)
def make_threshold_policy(*, per_shard_threshold=DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES, total_budget=DEFAULT_AUTO_TOTAL_BUDGET_BYTES)
def make_sqlite_reader_factory(*, mode, mmap_size=268435456, page_cache_pages=1024, s3_connection_options=None, credential_provider=None)
def make_async_sqlite_reader_factory(*, mode, mmap_size=268435456, page_cache_pages=1024, s3_connection_options=None, credential_provider=None)
class AdaptiveSqliteReaderFactory | __init__(*, policy=None, per_shard_threshold=DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
  total_budget=DEFAULT_AUTO_TOTAL_BUDGET_BYTES, mmap_size=268435456, page_cache_pages=1024, s3_connection_options=None, credential_provider=None)
class AsyncAdaptiveSqliteReaderFactory | __init__(*, policy=None, per_shard_threshold=DEFAULT_AUTO_PER_SHARD_THRESHOLD_BYTES,
  total_budget=DEFAULT_AUTO_TOTAL_BUDGET_BYTES, mmap_size=268435456, page_cache_pages=1024, s3_connection_options=None, credential_provider=None)
shardyfusion.sqlite_page_size:
class CellShape of NamedTuple | payload_bytes; max_key_bytes
def inline_payload_threshold(page_size)
def recommend_page_size(*, p95_value_bytes, max_key_bytes=64)
def recommend_page_size_for_cells(cells)
shardyfusion.storage:
class StorageBackend of Protocol | put(url, payload, content_type, headers=None); get(url); try_get(url); list_prefixes(prefix_url);
  delete_prefix(prefix_url)
class AsyncStorageBackend of Protocol | async put(url, payload, content_type, headers=None); async get(url); async try_get(url); async
  list_prefixes(prefix_url); async delete_prefix(prefix_url)
class ObstoreBackend | __init__(store); put(url, payload, content_type, headers=None); get(url); try_get(url); head(url); list_prefixes(prefix_url);
  delete_prefix(prefix_url)
class AsyncObstoreBackend | __init__(store); async put(url, payload, content_type, headers=None); async get(url); async try_get(url); async
  list_prefixes(prefix_url); async delete_prefix(prefix_url)
class MemoryBackend | __init__(); put(url, payload, content_type, headers=None); get(url); try_get(url); list_prefixes(prefix_url);
  delete_prefix(prefix_url)
class AsyncMemoryBackend | __init__(); async put(url, payload, content_type, headers=None); async get(url); async try_get(url); async
  list_prefixes(prefix_url); async delete_prefix(prefix_url)
def parse_s3_url(url)
def join_s3(base, *parts)
def create_s3_store(bucket, credentials=None, connection_options=None)
shardyfusion.type_defs:
class ShardSizeMeta of Protocol | property db_url; property db_bytes
class BuildMeta of Protocol | property run_id
class Manifest of Protocol | property required_build; property shards
class ShardReader of Protocol | get(key); close()
class ShardReaderFactory of Protocol
class AsyncShardReader of Protocol | async get(key); async close()
class AsyncShardReaderFactory of Protocol
class S3ConnectionOptions of TypedDict | endpoint_url; region_name; addressing_style; signature_version; verify_ssl; connect_timeout; read_timeout;
  max_attempts
class RetryConfig | max_retries = 3; initial_backoff = timedelta(seconds=1); backoff_multiplier = 2.0
shardyfusion.writer.python.writer:
def write_hash_sharded(records, config, input, options=None)
def write_cel_sharded(records, config, input, options=None)
"""

LOCAL_ROOT = str(Path(tempfile.gettempdir()) / "shardyfusion")


def entries():
    """(module, entry) for each class and function of NAMES."""
    module = ""
    for line in NAMES.strip().replace("\n  ", " ").splitlines():
        if line.endswith(":"):
            module = line[:-1]
        else:
            yield module, line


def words_of(module):
    """What the defaults in NAMES are written with."""
    words = {name: getattr(shardyfusion, name) for name in shardyfusion.__all__}
    return {**words, **vars(importlib.import_module("shardyfusion.config")), **vars(importlib.import_module("shardyfusion.sharding_types")), **vars(importlib.import_module("shardyfusion.slatedb_adapter")),
            **vars(importlib.import_module(module)), "timedelta": timedelta, "LOCAL_ROOT": LOCAL_ROOT}


def check_signature(module, said, function, *, bound):
    space = words_of(module)
    exec(f"def {said}: pass", space)
    wanted = list(inspect.signature(space[said.partition("(")[0]]).parameters.values())
    given = list(inspect.signature(function).parameters.values())[0 if bound else 1:]
    catch_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in given)
    by_name = {parameter.name: parameter for parameter in given}
    for parameter in wanted:
        if parameter.name not in by_name:
            assert catch_all, f"{said}: no parameter {parameter.name}"
            continue
        assert parameter.default in (parameter.empty, by_name[parameter.name].default), f"{said}: {parameter.name}"
        if parameter.kind is not parameter.KEYWORD_ONLY:
            assert by_name[parameter.name].kind is parameter.kind, f"{said}: {parameter.name}"
    by_place = [parameter.name for parameter in wanted if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert [parameter.name for parameter in given][:len(by_place)] == by_place, said
    names = {parameter.name for parameter in wanted}
    more = [parameter for parameter in given if parameter.name not in names and parameter.kind is not parameter.VAR_KEYWORD]
    assert all(parameter.default is not parameter.empty for parameter in more), f"{said}: {more} have no defaults"


def default_of(cls, name):
    if dataclasses.is_dataclass(cls) and name in (fields := {field.name: field for field in dataclasses.fields(cls)}):
        field = fields[name]
        return field.default if field.default is not dataclasses.MISSING else field.default_factory()
    if hasattr(cls, "model_fields"):
        return cls.model_fields[name].get_default(call_default_factory=True)
    return getattr(cls, name)


def check_field(module, cls, said, own_init):
    name, _, default = said.partition(" = ")
    if issubclass(cls, enum.Enum):
        assert getattr(cls, name).value == eval(default)
        return
    known = {*typing.get_type_hints(cls, words_of(module)), *getattr(cls, "model_fields", ())} if name not in vars(cls) else {name}
    assert name in known, f"{cls.__name__} has no {name}"
    if default and not own_init:
        assert default_of(cls, name) == eval(default, words_of(module)), f"{cls.__name__}.{name}"


def check_member(module, cls, said, own_init):
    words = said.split(" ")
    name = said.rpartition("(")[0].rpartition(" ")[2] if "(" in said else words[-1]
    if words[0] in ("property", "writable"):
        found = inspect.getattr_static(cls, name)
        assert hasattr(type(found), "__get__"), said
        assert words[0] == "property" or getattr(found, "fset", True), f"{cls.__name__}.{name} cannot be set"
        return
    if "(" not in said.partition(" = ")[0]:
        check_field(module, cls, said, own_init)
        return
    name = said.partition("(")[0].rpartition(" ")[2]
    function = getattr(cls, name)
    assert inspect.iscoroutinefunction(function) == ("async" in said.partition("(")[0].split()), f"{cls.__name__}.{name}"
    check_signature(module, said.removeprefix("classmethod ").removeprefix("async "), function, bound=words[0] == "classmethod")


def test_the_package_exports_all():
    assert set(EXPORTED.split()) <= set(shardyfusion.__all__)


@pytest.mark.parametrize(("module", "entry"), [*entries()])
def test_it_is_there_as_programs_use_it(module, entry):
    kind, said = entry.split(" ", 1)
    where = importlib.import_module(module)
    if kind == "def":
        check_signature(module, said, getattr(where, said.partition("(")[0]), bound=True)
        return
    title, _, members = said.partition(" | ")
    name, _, parents = title.partition(" of ")
    cls = getattr(where, name)
    bases = {base.__name__.removeprefix("Base") if base.__name__ == "BaseShardedReader" else base.__name__ for base in cls.__mro__}
    for parent in filter(None, parents.split(", ")):
        assert parent in ("Protocol", "TypedDict", "NamedTuple", "Generic[T]", "_BaseShardedReader") or parent.rpartition(".")[2] in bases, parent
    said_members = members.split("; ") if members else []
    own_init = any(member.startswith("__init__(") for member in said_members)
    for member in said_members:
        check_member(module, cls, member, own_init)
