"""What a writer reads its rows with, and options of each framework."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from ._config_checks import Checked, check_flag, check_positive, refuse
from .sharding_types import KeyInput

T = TypeVar("T")


class _HasShardIdCol(Protocol):
    @property
    def shard_id_col(self) -> str: ...


def validate_shard_id_col_no_collision(config: _HasShardIdCol, user_columns: set[str]) -> None:
    """Raises: ConfigValidationError if the data has a column of the name that routing needs for its own."""
    refuse(config.shard_id_col in user_columns, f"the data has a column {config.shard_id_col!r}, which routing adds for a while; "
           "set shard_id_col to another name")


def _refuse_vectors(*given: object) -> None:
    refuse(any(value is not None for value in given), "vector search is not part of this release")


@dataclass
class PythonRecordInput(Checked, Generic[T]):
    """Key, value and, for CEL over several columns, the columns of a record."""

    key_fn: Callable[[T], KeyInput]
    value_fn: Callable[[T], bytes]
    columns_fn: Callable[[T], dict[str, Any]] | None = None
    vector_fn: Callable[[T], Any] | None = None

    def validate(self) -> None:
        for name in ("key_fn", "value_fn", "columns_fn"):
            value = getattr(self, name)
            refuse(not callable(value) and not (name == "columns_fn" and value is None), f"{name} is a function, given {value!r}")
        _refuse_vectors(self.vector_fn)


@dataclass
class VectorColumnInput(Checked):
    """Columns of vectors; kept so that programs import it."""

    vector_col: str
    id_col: str | None = None
    payload_cols: list[str] | None = None
    shard_id_col: str | None = None
    routing_context_cols: dict[str, str] | None = None

    def validate(self) -> None:
        refuse(not self.vector_col, "vector_col is a column's name; it is empty")


@dataclass
class ColumnWriteInput(Checked):
    """The key's column and how a row's value is made (a ValueSpec)."""

    key_col: str
    value_spec: Any
    vector: VectorColumnInput | None = None
    vector_fn: Callable[[Any], Any] | None = None

    def validate(self) -> None:
        refuse(not isinstance(self.key_col, str) or not self.key_col, f"key_col is a column's name, given {self.key_col!r}")
        refuse(not hasattr(self.value_spec, "encode"), f"value_spec is a ValueSpec, given {self.value_spec!r}")
        _refuse_vectors(self.vector, self.vector_fn)


@dataclass
class SharedMemoryOptions(Checked):
    """Bytes of rows on their way to parallel workers; None: no bound."""

    max_total_bytes: int | None = 256 * 1024 * 1024
    max_bytes_per_worker: int | None = 32 * 1024 * 1024

    def validate(self) -> None:
        check_positive("max_total_bytes", self.max_total_bytes, optional=True)
        check_positive("max_bytes_per_worker", self.max_bytes_per_worker, optional=True)


@dataclass
class BufferingOptions(Checked):
    """Rows and bytes that wait for their batch to be full, over all shards; None: no bound but the batches'."""

    max_total_batched_items: int | None = None
    max_total_batched_bytes: int | None = None

    def validate(self) -> None:
        check_positive("max_total_batched_items", self.max_total_batched_items, optional=True)
        check_positive("max_total_batched_bytes", self.max_total_batched_bytes, optional=True)


@dataclass
class PythonWriteOptions(Checked):
    parallel: bool = False
    max_queue_size: int = 100
    shared_memory: SharedMemoryOptions = field(default_factory=SharedMemoryOptions)
    buffering: BufferingOptions = field(default_factory=BufferingOptions)

    def validate(self) -> None:
        check_flag("parallel", self.parallel)
        check_positive("max_queue_size", self.max_queue_size)
        for name, kind in (("shared_memory", SharedMemoryOptions), ("buffering", BufferingOptions)):
            refuse(not isinstance(getattr(self, name), kind), f"{name} is a {kind.__name__}, given {getattr(self, name)!r}")
            getattr(self, name).validate()


@dataclass
class _PartitionedOptions(Checked):
    sort_within_partitions: bool = False
    verify_routing: bool = True

    def validate(self) -> None:
        check_flag("sort_within_partitions", self.sort_within_partitions)
        check_flag("verify_routing", self.verify_routing)


@dataclass
class SparkWriteOptions(_PartitionedOptions):
    """`verify_routing` compares a sample of rows with the routing of readers."""

    cache_input: bool = False
    storage_level: Any | None = None
    spark_conf_overrides: dict[str, str] | None = None

    def validate(self) -> None:
        super().validate()
        check_flag("cache_input", self.cache_input)


@dataclass
class DaskWriteOptions(_PartitionedOptions):
    pass


@dataclass
class RayWriteOptions(_PartitionedOptions):
    pass


@dataclass
class SingleDbWriteOptions(Checked):
    """`num_partitions` spares the writer a count of the rows; `prefetch_partitions` fetches one while the one before is written."""

    sort_keys: bool = True
    num_partitions: int | None = None
    prefetch_partitions: bool = True
    cache_input: bool = True
    storage_level: Any | None = None
    spark_conf_overrides: dict[str, str] | None = None

    def validate(self) -> None:
        for name in ("sort_keys", "prefetch_partitions", "cache_input"):
            check_flag(name, getattr(self, name))
        check_positive("num_partitions", self.num_partitions, optional=True)
