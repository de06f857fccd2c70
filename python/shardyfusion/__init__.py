"""Sharded snapshots: key-value pairs cut into immutable shard databases, published as a whole, looked up from any process.

Every name is imported from its module when it is first used, so that importing this package costs little.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .async_manifest_store import AsyncManifestStore, AsyncS3ManifestStore
    from .cel import CelColumn, CelType, cel_sharding, cel_sharding_by_columns
    from .config import (
        BaseShardedWriteConfig, BufferingOptions, CelShardedWriteConfig, CelShardingConfig, ColumnWriteInput,
        DaskWriteOptions, HashShardedWriteConfig, HashShardingConfig, KeyValueWriteConfig, KvWriteRateLimitConfig,
        PythonRecordInput, PythonWriteOptions, RayWriteOptions, SharedMemoryOptions, SingleDbWriteConfig,
        SingleDbWriteOptions, SparkWriteOptions, WriterLifecycleConfig, WriterManifestConfig,
        WriterObservabilityConfig, WriterOutputConfig, WriterRetryConfig, WriterStorageConfig,
    )
    from .credentials import CredentialProvider, EnvCredentialProvider, S3Credentials, StaticCredentialProvider
    from .errors import (
        ConfigValidationError, DbAdapterError, ManifestBuildError, ManifestParseError, ManifestStoreError,
        PoolExhaustedError, PublishCurrentError, PublishManifestError, ReaderStateError, S3TransientError,
        ShardAssignmentError, ShardCoverageError, ShardWriteError, ShardyfusionError,
    )
    from .local_slatedb_adapter import LocalSlateDbFactory
    from .logging import FailureSeverity, JsonFormatter, LogContext, configure_logging, get_logger
    from .manifest import (
        BuildDurations, BuildResult, BuildStats, CurrentPointer, ManifestArtifact, ManifestRef, ManifestShardingSpec,
        ParsedManifest, RequiredBuildMeta, RequiredShardMeta, SQLITE_MANIFEST_CONTENT_TYPE, SqliteManifestBuilder,
        WriterInfo,
    )
    from .manifest_store import (
        InMemoryManifestStore, ManifestStore, S3ManifestStore, SqliteShardLookup, load_sqlite_build_meta,
        parse_manifest_payload, parse_sqlite_manifest,
    )
    from .metrics import MetricEvent, MetricsCollector
    from .rate_limiter import AcquireResult, RateLimiter, ThreadSafeTokenBucket, TokenBucket
    from .reader import (
        AsyncShardReaderHandle, AsyncShardedReader, AsyncSlateDbReaderFactory, ConcurrentShardedReader, ReaderHealth,
        ShardDetail, ShardReaderHandle, ShardedReader, SlateDbReaderFactory, SnapshotInfo,
    )
    from .routing import ShardLookup, SnapshotRouter
    from .run_registry import InMemoryRunRegistry, RunRecord, RunRecordLifecycle, RunRegistry, RunStatus, S3RunRegistry
    from .serde import ValueSpec
    from .sharding_types import CelShardingSpec, HashShardingSpec, KeyEncoding, ShardHashAlgorithm, ShardingSpec, ShardingStrategy
    from .slatedb_adapter import SlateDbFactory, SlateDbSettings
    from .type_defs import (
        AsyncShardReader, AsyncShardReaderFactory, DbAdapter, DbAdapterFactory, RetryConfig, S3ConnectionOptions,
        ShardReader, ShardReaderFactory,
    )

if sys.version_info < (3, 11):  # sqlite3 makes and reads files in memory since then
    raise ImportError(f"shardyfusion needs Python 3.11 or newer, this is {sys.version.split()[0]}; datashard, for tables, runs here")

_MODULES = {
    "async_manifest_store": "AsyncManifestStore AsyncS3ManifestStore",
    "cel": "CelColumn CelType cel_sharding cel_sharding_by_columns",
    "config": (
        "BaseShardedWriteConfig BufferingOptions CelShardedWriteConfig CelShardingConfig ColumnWriteInput DaskWriteOptions "
        "HashShardedWriteConfig HashShardingConfig KeyValueWriteConfig KvWriteRateLimitConfig PythonRecordInput "
        "PythonWriteOptions RayWriteOptions SharedMemoryOptions SingleDbWriteConfig SingleDbWriteOptions SparkWriteOptions "
        "WriterLifecycleConfig WriterManifestConfig WriterObservabilityConfig WriterOutputConfig WriterRetryConfig "
        "WriterStorageConfig"
    ),
    "credentials": "CredentialProvider EnvCredentialProvider S3Credentials StaticCredentialProvider",
    "errors": (
        "ConfigValidationError DbAdapterError ManifestBuildError ManifestParseError ManifestStoreError PoolExhaustedError "
        "PublishCurrentError PublishManifestError ReaderStateError S3TransientError ShardAssignmentError ShardCoverageError "
        "ShardWriteError ShardyfusionError"
    ),
    "local_slatedb_adapter": "LocalSlateDbFactory",
    "logging": "FailureSeverity JsonFormatter LogContext configure_logging get_logger",
    "manifest": (
        "BuildDurations BuildResult BuildStats CurrentPointer ManifestArtifact ManifestRef ManifestShardingSpec "
        "ParsedManifest RequiredBuildMeta RequiredShardMeta SQLITE_MANIFEST_CONTENT_TYPE SqliteManifestBuilder WriterInfo"
    ),
    "manifest_store": (
        "InMemoryManifestStore ManifestStore S3ManifestStore SqliteShardLookup load_sqlite_build_meta parse_manifest_payload "
        "parse_sqlite_manifest"
    ),
    "metrics": "MetricEvent MetricsCollector",
    "rate_limiter": "AcquireResult RateLimiter ThreadSafeTokenBucket TokenBucket",
    "reader": (
        "AsyncShardReaderHandle AsyncShardedReader AsyncSlateDbReaderFactory ConcurrentShardedReader ReaderHealth ShardDetail "
        "ShardReaderHandle ShardedReader SlateDbReaderFactory SnapshotInfo"
    ),
    "routing": "ShardLookup SnapshotRouter",
    "run_registry": "InMemoryRunRegistry RunRecord RunRecordLifecycle RunRegistry RunStatus S3RunRegistry",
    "serde": "ValueSpec",
    "sharding_types": "CelShardingSpec HashShardingSpec KeyEncoding ShardHashAlgorithm ShardingSpec ShardingStrategy",
    "slatedb_adapter": "SlateDbFactory SlateDbSettings",
    "type_defs": (
        "AsyncShardReader AsyncShardReaderFactory DbAdapter DbAdapterFactory RetryConfig S3ConnectionOptions ShardReader "
        "ShardReaderFactory"
    ),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(import_module(f".{_MODULE_OF[name]}", __name__), name)
    except ModuleNotFoundError as error:
        if error.name not in ("pydantic", "yaml"):
            raise
        raise ModuleNotFoundError(f"{name} needs {error.name}: pip install pydantic pyyaml", name=error.name) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
