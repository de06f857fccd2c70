"""How keys are stored and how they find their shard, as plain values.

`ShardingSpec` has two uses. Called itself it is the description that `WriteConfig` takes: any strategy, with the boundaries of
ranges or an expression of the user's own. Its subclasses describe one strategy each, as the manifest has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ConfigValidationError, ShardAssignmentError

if TYPE_CHECKING:
    from typing_extensions import Self

DB_ID_COL = "_shard_id"
VECTOR_DB_ID_COL = "_vector_db_id"

KeyInput: TypeAlias = int | str | bytes
RoutingValue: TypeAlias = int | str | bytes
Boundary: TypeAlias = int | float | str


class _Named(str, Enum):
    """An enumeration whose members are known by the name that files hold."""

    @classmethod
    def from_value(cls, value: str) -> Self:
        """The member called `value`. Raises: ValueError that names them all."""
        try:
            return cls(value)
        except ValueError:
            allowed = ", ".join(repr(member.value) for member in cls)
            raise ValueError(f"{value!r} is no {cls.__name__}; it is one of {allowed}") from None


class KeyEncoding(_Named):
    """How a key is stored: integers as 8 or 4 big-endian bytes, text as UTF-8, bytes as they are."""

    U64BE = "u64be"
    U32BE = "u32be"
    UTF8 = "utf8"
    RAW = "raw"


class ShardingStrategy(_Named):
    """HASH and CEL are what manifests say; a writer publishes RANGE and CUSTOM_EXPR as CEL."""

    HASH = "hash"
    CEL = "cel"
    RANGE = "range"
    CUSTOM_EXPR = "custom_expr"


class ShardHashAlgorithm(_Named):
    XXH3_64 = "xxh3_64"


def validate_routing_values(routing_values: Sequence[RoutingValue], *, require_unique: bool = True) -> None:
    """Are they all int, all str or all bytes, and (unless told otherwise) each there once?

    Raises: ConfigValidationError that says which value is wrong.
    """
    kind: type | None = None
    for index, value in enumerate(routing_values):
        if type(value) not in (int, str, bytes):
            raise ConfigValidationError(f"routing value {index} is {value!r}; int, str and bytes can be routing values")
        kind = kind or type(value)
        if type(value) is not kind:
            raise ConfigValidationError(
                f"routing values are of one type: the first is {kind.__name__}, value {index} is {value!r}")
    if require_unique and len(set(routing_values)) != len(routing_values):
        seen: set[RoutingValue] = set()
        twice = next(value for value in routing_values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
        raise ConfigValidationError(f"routing value {twice!r} is there twice")


def validate_boundaries(boundaries: Sequence[Boundary], *, num_dbs: int | None = None) -> None:
    """Are they of one type (int, float or str), without NaN and infinity, ascending, and one fewer than `num_dbs`?

    Raises: ShardAssignmentError, the class that range-sharded programs catch.
    """
    if num_dbs is not None and len(boundaries) != num_dbs - 1:
        raise ShardAssignmentError(f"{num_dbs} shards have {num_dbs - 1} boundaries between them, given are {len(boundaries)}")
    for index, value in enumerate(boundaries):
        if type(value) not in (int, float, str) or type(value) is not type(boundaries[0]):
            raise ShardAssignmentError(f"boundary {index} is {value!r}; boundaries are all int, all float or all str")
        if isinstance(value, float) and not -float("inf") < value < float("inf"):
            raise ShardAssignmentError(f"boundary {index} is {value!r}; boundaries are finite")
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ShardAssignmentError(f"boundary {index} is {value!r}; whole numbers are of 64 bits with a sign")
        if index and not boundaries[index - 1] < value:  # type: ignore[operator]
            raise ShardAssignmentError(f"boundaries ascend: {boundaries[index - 1]!r} is followed by {value!r}")


class ShardingSpec:
    """How rows find their shard.

    strategy: one of ShardingStrategy, or its name.
    boundaries: with RANGE: num_dbs - 1 ascending values of one type; a key's shard is the number of boundaries that are not
        above it. Without them Spark, Dask and Ray derive quantiles, within `approx_quantile_rel_error`.
    custom_expr, custom_column_builder: with CUSTOM_EXPR: Spark SQL text, or a function from the key's column to a column.
    Raises: ConfigValidationError for what does not go together.
    """

    boundaries: Sequence[Boundary] | None = None
    approx_quantile_rel_error: float = 0.01
    custom_expr: str | None = None
    custom_column_builder: Callable[[Any], Any] | None = None

    def __init__(self, strategy: ShardingStrategy | str = ShardingStrategy.HASH, boundaries: Sequence[Boundary] | None = None,
                 approx_quantile_rel_error: float = 0.01, custom_expr: str | None = None,
                 custom_column_builder: Callable[[Any], Any] | None = None) -> None:
        try:
            self._strategy = ShardingStrategy.from_value(strategy)
        except ValueError as error:
            raise ConfigValidationError(str(error)) from error
        if isinstance(boundaries, (str, bytes)) or (boundaries is not None and not isinstance(boundaries, Iterable)):
            raise ConfigValidationError(f"boundaries are a list, given {boundaries!r}")
        self.boundaries = None if boundaries is None else list(boundaries)
        self.approx_quantile_rel_error = approx_quantile_rel_error
        self.custom_expr = custom_expr
        self.custom_column_builder = custom_column_builder
        self._check()

    @property
    def strategy(self) -> ShardingStrategy:
        return self._strategy

    def _check(self) -> None:
        if self.boundaries is not None and self.strategy is not ShardingStrategy.RANGE:
            raise ConfigValidationError(f"boundaries belong to strategy 'range', not to {self.strategy.value!r}")
        if not 0 <= self.approx_quantile_rel_error < 1:
            raise ConfigValidationError(f"approx_quantile_rel_error is in [0, 1), given {self.approx_quantile_rel_error!r}")
        given = [name for name in ("custom_expr", "custom_column_builder") if getattr(self, name) is not None]
        if given and self.strategy is not ShardingStrategy.CUSTOM_EXPR:
            raise ConfigValidationError(f"{given[0]} belongs to strategy 'custom_expr', not to {self.strategy.value!r}")
        if len(given) == 2:
            raise ConfigValidationError("custom_expr and custom_column_builder say the same thing; give one of them")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        said = ", ".join(f"{name.lstrip('_')}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({said})"

    def to_manifest_dict(self) -> dict[str, object]:
        """The five members of a manifest's `sharding`. Raises: ConfigValidationError for what the writer has to work out first."""
        if self.strategy is not ShardingStrategy.HASH:
            raise ConfigValidationError(
                f"strategy {self.strategy.value!r} enters a manifest as the CEL expression that the writer makes of it")
        return manifest_sharding()


def manifest_sharding(strategy: ShardingStrategy = ShardingStrategy.HASH,
                      hash_algorithm: ShardHashAlgorithm = ShardHashAlgorithm.XXH3_64,
                      routing_values: Sequence[RoutingValue] | None = None, cel_expr: str | None = None,
                      cel_columns: dict[str, str] | None = None) -> dict[str, object]:
    return {"strategy": strategy.value, "hash_algorithm": hash_algorithm.value,
            "routing_values": None if routing_values is None else list(routing_values),
            "cel_expr": cel_expr, "cel_columns": None if cel_columns is None else dict(cel_columns)}


@dataclass(eq=True, repr=True)
class HashShardingSpec(ShardingSpec):
    """By the hash of the key. `max_keys_per_shard` gives the number of shards where no one says it."""

    hash_algorithm: ShardHashAlgorithm = ShardHashAlgorithm.XXH3_64
    max_keys_per_shard: int | None = None

    @property
    def strategy(self) -> ShardingStrategy:
        return ShardingStrategy.HASH

    def to_manifest_dict(self) -> dict[str, object]:
        return manifest_sharding(hash_algorithm=self.hash_algorithm)


@dataclass(eq=True, repr=True)
class CelShardingSpec(ShardingSpec):
    """By a CEL expression over columns: its value is the shard, or one of the routing values, whose index is the shard."""

    cel_expr: str = ""
    cel_columns: dict[str, str] = field(default_factory=dict)
    routing_values: list[RoutingValue] | None = None
    infer_routing_values_from_data: bool = False

    @property
    def strategy(self) -> ShardingStrategy:
        return ShardingStrategy.CEL

    def to_manifest_dict(self) -> dict[str, object]:
        return manifest_sharding(ShardingStrategy.CEL, routing_values=self.routing_values, cel_expr=self.cel_expr,
                                 cel_columns=self.cel_columns)
