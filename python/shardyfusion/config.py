"""What a writer is told. Every class checks itself when it is made; `validate()` checks again after changes.

Bad options raise ConfigValidationError.
"""

from __future__ import annotations

import dataclasses
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from ._config_checks import Checked, ValidatableConfig, check_flag, check_positive, refuse, validate_configs
from ._write_inputs import (BufferingOptions, ColumnWriteInput, DaskWriteOptions, PythonRecordInput, PythonWriteOptions, RayWriteOptions,
                            SharedMemoryOptions, SingleDbWriteOptions, SparkWriteOptions, VectorColumnInput,
                            validate_shard_id_col_no_collision)
from .credentials import CredentialProvider
from .errors import ConfigValidationError
from .metrics import MetricsCollector
from .sharding_types import (DB_ID_COL, CelShardingSpec, HashShardingSpec, KeyEncoding, RoutingValue, ShardingSpec, ShardingStrategy,
                             validate_boundaries, validate_routing_values)
from .storage import parse_s3_url, path_of_file_url
from .type_defs import DbAdapterFactory, JsonObject, RetryConfig, S3ConnectionOptions

if TYPE_CHECKING:
    from .manifest_store import ManifestStore
    from .run_registry import RunRegistry

__all__ = [
    "BaseShardedWriteConfig", "BufferingOptions", "CelShardedWriteConfig", "CelShardingConfig", "ColumnWriteInput", "DaskWriteOptions",
    "HashShardedWriteConfig", "HashShardingConfig", "KeyValueWriteConfig", "KvWriteRateLimitConfig", "ManifestOptions",
    "OutputOptions", "PythonRecordInput", "PythonWriteOptions", "RayWriteOptions", "SharedMemoryOptions", "SingleDbWriteConfig",
    "SingleDbWriteOptions", "SparkWriteOptions", "ValidatableConfig", "VectorColumnInput", "WriteConfig", "WriterLifecycleConfig",
    "WriterManifestConfig", "WriterObservabilityConfig", "WriterOutputConfig", "WriterRetryConfig", "WriterStorageConfig",
    "validate_configs", "validate_shard_id_col_no_collision",
]

T = TypeVar("T")

_SEGMENT = re.compile(r"[A-Za-z0-9._-]+")
_CEL_TYPES = ("int", "string", "bytes", "double", "bool", "uint")


@dataclass
class WriterStorageConfig(Checked):
    """Where the snapshot goes: s3://bucket/prefix, or file:///directory."""

    s3_prefix: str = ""
    credential_provider: CredentialProvider | None = None
    s3_connection_options: S3ConnectionOptions | None = None

    def validate(self) -> None:
        refuse(not isinstance(self.s3_prefix, str), f"s3_prefix is s3://bucket/path or file:///directory, given {self.s3_prefix!r}")
        try:
            if self.s3_prefix.startswith("file:"):
                path_of_file_url(self.s3_prefix)
            else:
                refuse(not parse_s3_url(self.s3_prefix)[1].strip("/"), f"s3_prefix {self.s3_prefix!r} is a whole bucket; "
                        "a snapshot lies below a prefix: s3://bucket/some/prefix")
        except ValueError as error:
            raise ConfigValidationError(f"s3_prefix: {error}") from error
        self.s3_prefix = self.s3_prefix.rstrip("/")


@dataclass
class WriterOutputConfig(Checked):
    """Names below the prefix, and the directory for files of the run on this machine."""

    run_id: str | None = None
    db_path_template: str = "db={db_id:05d}"
    shard_prefix: str = "shards"
    run_registry_prefix: str = "runs"
    local_root: str = field(default_factory=lambda: str(Path(tempfile.gettempdir()) / "shardyfusion"))

    def validate(self) -> None:
        for name in ("shard_prefix", "run_registry_prefix"):
            value = getattr(self, name)
            refuse(not isinstance(value, str) or not _SEGMENT.fullmatch(value) or ".." in value,
                    f"{name} is one name of letters, digits, '.', '_' and '-', without '..'; given {value!r}")
        refuse(self.run_id is not None and (not isinstance(self.run_id, str) or not self.run_id or "/" in self.run_id or self.run_id in (".", "..")),
                f"run_id is a name without '/', given {self.run_id!r}")
        refuse(not isinstance(self.local_root, (str, Path)), f"local_root is a directory, given {self.local_root!r}")
        try:
            for _, _, spec, _ in Formatter().parse(self.db_path_template):
                refuse(re.search(r"\d{4}", spec or "") is not None, f"db_path_template {self.db_path_template!r} makes names of thousands of characters")
            directory = self.db_path_template.format(db_id=0)
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise ConfigValidationError(
                f"db_path_template is a text with {{db_id}} in it, given {self.db_path_template!r}: {error}") from error
        refuse(directory == self.db_path_template.format(db_id=1) or any(part in ("", ".", "..") for part in directory.split("/")),
                f"db_path_template {self.db_path_template!r} gives {directory!r}; each shard needs a directory of its own")


@dataclass
class WriterManifestConfig(Checked):
    """Where the manifest goes (by default beside the shards), and the writer's own fields in it."""

    store: ManifestStore | None = None
    custom_manifest_fields: JsonObject = field(default_factory=dict)
    credential_provider: CredentialProvider | None = None
    s3_connection_options: S3ConnectionOptions | None = None

    def validate(self) -> None:
        refuse(not isinstance(self.custom_manifest_fields, dict), "custom_manifest_fields is a dict")


@dataclass
class KeyValueWriteConfig(Checked):
    """How pairs are stored. Without `adapter_factory` the writer's own default."""

    key_encoding: KeyEncoding = KeyEncoding.U64BE
    batch_size: int = 50_000
    adapter_factory: DbAdapterFactory | None = None
    profile_value_sizes_for_page_size: bool = False

    def validate(self) -> None:
        try:
            self.key_encoding = KeyEncoding.from_value(self.key_encoding)
        except ValueError as error:
            raise ConfigValidationError(str(error)) from error
        check_positive("batch_size", self.batch_size)
        refuse(self.adapter_factory is not None and not callable(self.adapter_factory), "adapter_factory is called; it is no function")
        check_flag("profile_value_sizes_for_page_size", self.profile_value_sizes_for_page_size)


@dataclass
class HashShardingConfig(Checked):
    """How many shards, or how many keys each of them may have."""

    num_dbs: int | None = None
    max_keys_per_shard: int | None = None

    def validate(self) -> None:
        refuse((self.num_dbs is None) == (self.max_keys_per_shard is None),
                f"one of num_dbs and max_keys_per_shard is given, not {self.num_dbs!r} and {self.max_keys_per_shard!r}")
        check_positive("num_dbs", self.num_dbs, optional=True)
        check_positive("max_keys_per_shard", self.max_keys_per_shard, optional=True)


@dataclass
class CelShardingConfig(Checked):
    """An expression over columns, whose value is the shard or one of the routing values."""

    cel_expr: str = ""
    cel_columns: dict[str, str] = field(default_factory=dict)
    routing_values: list[RoutingValue] | None = None
    infer_routing_values_from_data: bool = False

    def validate(self) -> None:
        refuse(not isinstance(self.cel_expr, str) or not self.cel_expr.strip(), "cel_expr is an expression; it is empty")
        refuse(not isinstance(self.cel_columns, dict) or not self.cel_columns, "cel_columns names the columns of cel_expr and their types; it is empty")
        self.cel_columns = {name: getattr(kind, "value", kind) for name, kind in self.cel_columns.items()}
        for name, kind in self.cel_columns.items():
            refuse(kind not in _CEL_TYPES, f"column {name!r} is of type {kind!r}; types are {', '.join(_CEL_TYPES)}")
        check_flag("infer_routing_values_from_data", self.infer_routing_values_from_data)
        if self.routing_values is not None:
            refuse(self.infer_routing_values_from_data, "routing_values are given, so infer_routing_values_from_data is not needed")
            refuse(not isinstance(self.routing_values, (list, tuple)), f"routing_values are a list, given {self.routing_values!r}")
            validate_routing_values(self.routing_values)


@dataclass
class WriterRetryConfig(Checked):
    shard_retry: RetryConfig | None = None

    def validate(self) -> None:
        refuse(not isinstance(self.shard_retry, (RetryConfig, type(None))), f"shard_retry is a RetryConfig, given {self.shard_retry!r}")


@dataclass
class KvWriteRateLimitConfig(Checked):
    """Of the whole run. None: as fast as it goes."""

    max_writes_per_second: float | None = None
    max_write_bytes_per_second: float | None = None

    def validate(self) -> None:
        for name in ("max_writes_per_second", "max_write_bytes_per_second"):
            check_positive(name, getattr(self, name), optional=True, kind=(int, float))


@dataclass
class VectorWriteRateLimitConfig(Checked):
    """Of writers of vectors; kept so that programs import it."""

    max_writes_per_second: float | None = None

    def validate(self) -> None:
        check_positive("max_writes_per_second", self.max_writes_per_second, optional=True, kind=(int, float))


@dataclass
class WriterObservabilityConfig(Checked):
    metrics_collector: MetricsCollector | None = None

    def validate(self) -> None:
        refuse(self.metrics_collector is not None and not hasattr(self.metrics_collector, "emit"), "metrics_collector has no emit()")


@dataclass
class WriterLifecycleConfig(Checked):
    """Where the record of the run is kept; by default beside the snapshot."""

    run_registry: RunRegistry | None = None

    def validate(self) -> None:
        refuse(self.run_registry is not None and not hasattr(self.run_registry, "create"), "run_registry has no create()")


class _Flat(Generic[T]):
    """An option of a part, read and written on the whole. Writing replaces the part, which others may share."""

    def __init__(self, part: str, name: str) -> None:
        self.part = part
        self.name = name

    @overload
    def __get__(self, config: None, owner: type) -> _Flat[T]: ...
    @overload
    def __get__(self, config: object, owner: type) -> T: ...

    def __get__(self, config: object | None, owner: type) -> _Flat[T] | T:
        return self if config is None else getattr(getattr(config, self.part), self.name)

    def __set__(self, config: object, value: T) -> None:
        setattr(config, self.part, dataclasses.replace(getattr(config, self.part), **{self.name: value}))


_PARTS: dict[str, type] = {
    "storage": WriterStorageConfig, "output": WriterOutputConfig, "manifest": WriterManifestConfig, "kv": KeyValueWriteConfig,
    "retry": WriterRetryConfig, "rate_limits": KvWriteRateLimitConfig, "observability": WriterObservabilityConfig,
    "lifecycle": WriterLifecycleConfig,
}


def _one_of(name: str, part: T | None, kind: Callable[..., T], shortcuts: dict[str, Any]) -> T:
    """The part `name`, or one made of its shortcuts; both at once is an error."""
    given = {option: value for option, value in shortcuts.items() if value is not None}
    if part is None:
        return kind(**given)
    refuse(bool(given), f"{', '.join(given)} given beside {name}, which says them too; give one of them")
    refuse(not isinstance(part, kind), f"{name} is a {kind.__name__}, given {part!r}")  # type: ignore[arg-type]
    return part


@dataclass(init=False)
class BaseShardedWriteConfig:
    """What all writers are told: each part as an object, or its options by their own names."""

    storage: WriterStorageConfig
    output: WriterOutputConfig
    manifest: WriterManifestConfig
    kv: KeyValueWriteConfig
    retry: WriterRetryConfig
    rate_limits: KvWriteRateLimitConfig
    observability: WriterObservabilityConfig
    lifecycle: WriterLifecycleConfig
    vector: Any = None
    shard_id_col: str = DB_ID_COL

    s3_prefix = _Flat[str]("storage", "s3_prefix")
    credential_provider = _Flat["CredentialProvider | None"]("storage", "credential_provider")
    s3_connection_options = _Flat["S3ConnectionOptions | None"]("storage", "s3_connection_options")
    key_encoding = _Flat[KeyEncoding]("kv", "key_encoding")
    batch_size = _Flat[int]("kv", "batch_size")
    adapter_factory = _Flat["DbAdapterFactory | None"]("kv", "adapter_factory")
    metrics_collector = _Flat["MetricsCollector | None"]("observability", "metrics_collector")
    run_registry = _Flat["RunRegistry | None"]("lifecycle", "run_registry")
    shard_retry = _Flat["RetryConfig | None"]("retry", "shard_retry")
    max_writes_per_second = _Flat["float | None"]("rate_limits", "max_writes_per_second")
    max_write_bytes_per_second = _Flat["float | None"]("rate_limits", "max_write_bytes_per_second")

    def __init__(
        self, *, storage: WriterStorageConfig | None = None, output: WriterOutputConfig | None = None,
        manifest: WriterManifestConfig | None = None, kv: KeyValueWriteConfig | None = None, retry: WriterRetryConfig | None = None,
        rate_limits: KvWriteRateLimitConfig | None = None, observability: WriterObservabilityConfig | None = None,
        lifecycle: WriterLifecycleConfig | None = None, vector: Any = None, shard_id_col: str = DB_ID_COL,
        s3_prefix: str | None = None, key_encoding: KeyEncoding | None = None, batch_size: int | None = None,
        adapter_factory: DbAdapterFactory | None = None, metrics_collector: MetricsCollector | None = None,
        run_registry: RunRegistry | None = None, shard_retry: RetryConfig | None = None,
        credential_provider: CredentialProvider | None = None, s3_connection_options: S3ConnectionOptions | None = None,
        vector_spec: Any = None, max_writes_per_second: float | None = None, max_write_bytes_per_second: float | None = None,
    ) -> None:
        self.storage = _one_of("storage", storage, WriterStorageConfig, {
            "s3_prefix": s3_prefix, "credential_provider": credential_provider, "s3_connection_options": s3_connection_options})
        self.output = _one_of("output", output, WriterOutputConfig, {})
        self.manifest = _one_of("manifest", manifest, WriterManifestConfig, {})
        self.kv = _one_of("kv", kv, KeyValueWriteConfig, {
            "key_encoding": key_encoding, "batch_size": batch_size, "adapter_factory": adapter_factory})
        self.retry = _one_of("retry", retry, WriterRetryConfig, {"shard_retry": shard_retry})
        self.rate_limits = _one_of("rate_limits", rate_limits, KvWriteRateLimitConfig, {
            "max_writes_per_second": max_writes_per_second, "max_write_bytes_per_second": max_write_bytes_per_second})
        self.observability = _one_of("observability", observability, WriterObservabilityConfig, {
            "metrics_collector": metrics_collector})
        self.lifecycle = _one_of("lifecycle", lifecycle, WriterLifecycleConfig, {"run_registry": run_registry})
        self.vector = vector if vector is not None else vector_spec
        self.shard_id_col = shard_id_col
        self.validate()

    @property
    def vector_spec(self) -> Any:
        return self.vector

    @vector_spec.setter
    def vector_spec(self, value: Any) -> None:
        refuse(value is not None, "vector search is not part of this release: vector and vector_spec are None")

    def validate(self) -> None:
        validate_configs(*(getattr(self, part) for part in _PARTS))
        refuse(self.vector is not None, "vector search is not part of this release: vector and vector_spec are None")
        refuse(not isinstance(self.shard_id_col, str) or not self.shard_id_col, "shard_id_col is a column's name; it is empty")


@dataclass(init=False)
class HashShardedWriteConfig(BaseShardedWriteConfig):
    """By the hash of the key."""

    sharding: HashShardingConfig = field(default_factory=HashShardingConfig)

    def __init__(self, *, sharding: HashShardingConfig | None = None, num_dbs: int | None = None,
                 max_keys_per_shard: int | None = None, **base_kwargs: Any) -> None:
        self.sharding = _one_of("sharding", sharding, HashShardingConfig, {
            "num_dbs": num_dbs, "max_keys_per_shard": max_keys_per_shard})
        super().__init__(**base_kwargs)

    def validate(self) -> None:
        super().validate()
        self.sharding.validate()

    @property
    def num_dbs(self) -> int | None:
        return self.sharding.num_dbs

    @property
    def max_keys_per_shard(self) -> int | None:
        return self.sharding.max_keys_per_shard


@dataclass(init=False)
class CelShardedWriteConfig(BaseShardedWriteConfig):
    """By a CEL expression."""

    sharding: CelShardingConfig = field(default_factory=CelShardingConfig)

    def __init__(self, *, sharding: CelShardingConfig | None = None, cel_expr: str | None = None,
                 cel_columns: dict[str, str] | None = None, routing_values: list[RoutingValue] | None = None,
                 infer_routing_values_from_data: bool | None = None, **base_kwargs: Any) -> None:
        self.sharding = _one_of("sharding", sharding, CelShardingConfig, {
            "cel_expr": cel_expr, "cel_columns": cel_columns, "routing_values": routing_values,
            "infer_routing_values_from_data": infer_routing_values_from_data})
        super().__init__(**base_kwargs)

    def validate(self) -> None:
        super().validate()
        self.sharding.validate()

    @property
    def cel_expr(self) -> str:
        return self.sharding.cel_expr

    @property
    def cel_columns(self) -> dict[str, str]:
        return self.sharding.cel_columns

    @property
    def routing_values(self) -> list[RoutingValue] | None:
        return self.sharding.routing_values

    @property
    def infer_routing_values_from_data(self) -> bool:
        return self.sharding.infer_routing_values_from_data


@dataclass(init=False)
class SingleDbWriteConfig(BaseShardedWriteConfig):
    """One shard for all keys."""

    def __init__(self, **base_kwargs: Any) -> None:
        super().__init__(**base_kwargs)

    @property
    def num_dbs(self) -> int:
        return 1


OutputOptions = WriterOutputConfig
ManifestOptions = WriterManifestConfig


@dataclass(init=False)
class WriteConfig(BaseShardedWriteConfig):
    """What `write_sharded` is told: any sharding, described by a ShardingSpec (by default the hash of the key).

    num_dbs: how many shards; with CEL it follows from the data, with boundaries it is one more than those.
    """

    num_dbs: int | None = None
    sharding: ShardingSpec = field(default_factory=HashShardingSpec)

    def __init__(self, num_dbs: int | None = None, s3_prefix: str | None = None, key_encoding: KeyEncoding | None = None,
                 batch_size: int | None = None, adapter_factory: DbAdapterFactory | None = None,
                 sharding: ShardingSpec | None = None, **base_kwargs: Any) -> None:
        self.sharding = HashShardingSpec() if sharding is None else sharding
        self.num_dbs = num_dbs
        super().__init__(s3_prefix=s3_prefix, key_encoding=key_encoding, batch_size=batch_size, adapter_factory=adapter_factory,
                         **base_kwargs)

    def validate(self) -> None:
        super().validate()
        refuse(not isinstance(self.sharding, ShardingSpec), f"sharding is a ShardingSpec, given {self.sharding!r}")
        check_positive("num_dbs", self.num_dbs, optional=True)
        if isinstance(self.sharding, CelShardingSpec):
            CelShardingConfig(self.sharding.cel_expr, self.sharding.cel_columns, self.sharding.routing_values,
                              self.sharding.infer_routing_values_from_data)
        elif self.sharding.boundaries is not None:
            validate_boundaries(self.sharding.boundaries, num_dbs=self.num_dbs)
            self.num_dbs = len(self.sharding.boundaries) + 1
        elif isinstance(self.sharding, HashShardingSpec):
            HashShardingConfig(self.num_dbs, self.sharding.max_keys_per_shard)
        else:
            refuse(self.sharding.strategy is ShardingStrategy.CEL, "a CEL expression is described by CelShardingSpec")
            refuse(self.num_dbs is None, f"num_dbs is needed for strategy {self.sharding.strategy.value!r}")
