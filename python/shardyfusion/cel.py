"""Sharding by a CEL expression over columns of a row.

Expressions are compiled by the core; those it does not know are compiled by the package cel-expr-python where that is installed
(extra `cel`). Both know one function beside CEL's own: `shard_hash(x)`, the hash of `shardyfusion.routing`, as uint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Protocol

from . import _core
from ._failures import NotSupported
from .errors import ConfigValidationError, ShardAssignmentError
from .sharding_types import CelShardingSpec, RoutingValue, validate_routing_values

__all__ = [
    "CelColumn", "CelType", "CompiledCel", "UnknownRoutingTokenError", "build_categorical_routing_lookup", "cel_sharding",
    "cel_sharding_by_columns", "compile_cel", "compile_cel_cached", "evaluate_cel_arrow_batch", "pandas_rows_to_contexts",
    "resolve_cel_routing_key", "route_cel", "route_cel_batch", "validate_cel_columns",
]


class UnknownRoutingTokenError(ValueError):
    """The expression gave a value that is not among the routing values: no shard has such keys."""


class CelType(str, Enum):
    INT = "int"
    STRING = "string"
    BYTES = "bytes"
    DOUBLE = "double"
    BOOL = "bool"
    UINT = "uint"


@dataclass(frozen=True, slots=True)
class CelColumn:
    name: str
    type: CelType = CelType.STRING


class _Evaluator(Protocol):
    def evaluate(self, context: dict[str, Any]) -> int | str | bytes: ...


class CompiledCel:
    """An expression over columns. Callable from several threads. `env` is what compiles it: None for the core."""

    def __init__(self, env: Any, expr: str, columns: dict[str, str]) -> None:
        self._columns = {name: CelType(kind).value for name, kind in columns.items()}
        self._evaluator: _Evaluator = _core.CelExpression.compile(expr, self._columns) if env is None else _Foreign(env, expr, self._columns)
        self.expr = expr

    @property
    def columns(self) -> dict[str, str]:
        return dict(self._columns)

    @property
    def columns_list(self) -> list[str]:
        return list(self._columns)

    def evaluate(self, context: dict[str, Any]) -> int | str | bytes:
        """The value for one row. Raises: ConfigValidationError: missing columns, values of another type, results that cannot route."""
        missing = [name for name in self._columns if name not in context]
        if missing:
            raise ConfigValidationError(f"the columns {', '.join(map(repr, missing))} are missing; the expression {self.expr!r} reads "
                                        f"{', '.join(map(repr, self._columns))}")
        return self._evaluator.evaluate(context)


class _Foreign:
    """An expression in cel-expr-python."""

    _CASTS: dict[str, Any] = {"int": int, "uint": int, "double": float, "bool": bool, "string": str, "bytes": bytes}

    def __init__(self, env: Any, expr: str, columns: dict[str, str]) -> None:
        self._expr = expr
        self._columns = columns
        try:
            self._compiled = env.compile(expr)
        except Exception as error:
            raise ConfigValidationError(f"{expr!r} is no CEL expression over {columns}: {error}") from error

    def evaluate(self, context: dict[str, Any]) -> int | str | bytes:
        data = {name: self._cast(context[name], kind) for name, kind in self._columns.items()}
        try:
            value = self._compiled.eval(data=data).plain_value()
        except Exception as error:
            raise ConfigValidationError(f"{self._expr!r} fails for {data!r}: {error}") from error
        if isinstance(value, bool) or not isinstance(value, (int, str, bytes)):
            raise ConfigValidationError(f"{self._expr!r} gives {value!r}; int, string and bytes can route")
        return value

    def _cast(self, value: Any, kind: str) -> Any:
        return value if value is None else self._CASTS[kind](value)


def _foreign_env(columns: dict[str, str]) -> Any:
    from cel_expr_python import cel

    from .routing import xxh3_digest

    types = {"int": cel.Type.INT, "string": cel.Type.STRING, "bytes": cel.Type.BYTES, "double": cel.Type.DOUBLE, "bool": cel.Type.BOOL,
             "uint": cel.Type.UINT}
    overloads = [cel.Overload(f"shard_hash_{name}", return_type=cel.Type.UINT, parameters=[types[name]], is_member=False, impl=xxh3_digest)
                 for name in ("int", "uint", "string", "bytes")]
    return cel.NewEnv(variables={name: types[kind] for name, kind in columns.items()},
                      functions=[cel.FunctionDecl("shard_hash", overloads)])


def compile_cel(expr: str, columns: dict[str, str]) -> CompiledCel:
    """Raises: ConfigValidationError: no expression over these columns, or one that neither the core nor cel-expr-python compiles."""
    if not columns:
        raise ConfigValidationError("a CEL expression needs at least one column")
    try:
        return CompiledCel(None, expr, columns)
    except NotSupported as error:
        try:
            env = _foreign_env({name: CelType(kind).value for name, kind in columns.items()})
        except ImportError:
            raise ConfigValidationError(f"{error}; pip install cel-expr-python brings a compiler that may know it") from error
        return CompiledCel(env, expr, columns)


@lru_cache(maxsize=64)
def compile_cel_cached(expr: str, columns_key: tuple[tuple[str, str], ...]) -> CompiledCel:
    return compile_cel(expr, dict(columns_key))


def build_categorical_routing_lookup(routing_values: Sequence[RoutingValue]) -> dict[RoutingValue, int]:
    """The shard of each routing value: its index."""
    validate_routing_values(routing_values)
    return {value: index for index, value in enumerate(routing_values)}


def resolve_cel_routing_key(routing_key: int | str | bytes, *, routing_values: Sequence[RoutingValue] | None = None,
                            lookup: dict[RoutingValue, int] | None = None) -> int:
    """The shard that an expression's value means. Raises: UnknownRoutingTokenError; ConfigValidationError for what is no shard."""
    if lookup is None and routing_values is not None:
        lookup = build_categorical_routing_lookup(routing_values)
    if lookup is not None:
        if (shard := lookup.get(routing_key)) is None:
            raise UnknownRoutingTokenError(f"{routing_key!r} is not among the {len(lookup)} routing values")
        return shard
    try:
        shard = int(routing_key)
    except ValueError:
        raise ConfigValidationError(f"{routing_key!r} is no shard's number, and there are no routing values") from None
    if shard < 0:
        raise ConfigValidationError(f"{shard} is no shard's number; they count from 0")
    return shard


def route_cel(compiled: CompiledCel, context: dict[str, Any], routing_values: Sequence[RoutingValue] | None = None,
              lookup: dict[RoutingValue, int] | None = None) -> int:
    return resolve_cel_routing_key(compiled.evaluate(context), routing_values=routing_values, lookup=lookup)


def evaluate_cel_arrow_batch(compiled: CompiledCel, batch: Any) -> list[int | str | bytes]:
    """The value of each row of a record batch."""
    validate_cel_columns(batch.schema, compiled.columns)
    names = compiled.columns_list
    columns = [batch.column(name).to_pylist() for name in names]
    return [compiled.evaluate(dict(zip(names, row))) for row in zip(*columns)]


def route_cel_batch(compiled: CompiledCel, batch: Any, routing_values: Sequence[RoutingValue] | None = None) -> list[int]:
    """The shard of each row of a record batch."""
    lookup = None if routing_values is None else build_categorical_routing_lookup(routing_values)
    return [resolve_cel_routing_key(value, lookup=lookup) for value in evaluate_cel_arrow_batch(compiled, batch)]


def cel_sharding(expr: str, columns: dict[str, str | CelType], *, routing_values: Sequence[RoutingValue] | None = None) -> CelShardingSpec:
    return CelShardingSpec(cel_expr=expr, cel_columns={name: CelType(kind).value for name, kind in columns.items()},
                           routing_values=None if routing_values is None else list(routing_values))


def cel_sharding_by_columns(*columns: CelColumn | str, num_shards: int | None = None, separator: str = ":") -> CelShardingSpec:
    """By the hash of one column, or of several joined as text; without `num_shards` each distinct value has a shard of its own."""
    chosen = [CelColumn(column) if isinstance(column, str) else column for column in columns]
    if not chosen:
        raise ConfigValidationError("name at least one column")
    if num_shards is not None and (type(num_shards) is not int or num_shards < 1):
        raise ConfigValidationError(f"num_shards is at least 1, given {num_shards!r}")
    if len(chosen) == 1:
        column = chosen[0]
        value = f"string({column.name})" if column.type in (CelType.DOUBLE, CelType.BOOL) else column.name
    else:
        quoted = '"' + separator.replace("\\", "\\\\").replace('"', '\\"') + '"'
        texts = [column.name if column.type is CelType.STRING else f"string({column.name})" for column in chosen]
        value = f" + {quoted} + ".join(texts)
    types = {column.name: column.type.value for column in chosen}
    if num_shards is None:
        return CelShardingSpec(cel_expr=value, cel_columns=types, infer_routing_values_from_data=True)
    return CelShardingSpec(cel_expr=f"shard_hash({value}) % {num_shards}u", cel_columns=types)


def pandas_rows_to_contexts(pdf: Any, cel_columns: dict[str, str]) -> list[dict[str, Any]]:
    """The columns of each row of a pandas frame."""
    missing = [name for name in cel_columns if name not in pdf.columns]
    if missing:
        raise ConfigValidationError(f"the frame has no columns {', '.join(map(repr, missing))}")
    names = list(cel_columns)
    return [dict(zip(names, row)) for row in zip(*(pdf[name].tolist() for name in names))]


def validate_cel_columns(arrow_schema: Any, cel_columns: dict[str, str]) -> None:
    """Are all columns there? Raises: ConfigValidationError that names those that are not."""
    missing = [name for name in cel_columns if name not in arrow_schema.names]
    if missing:
        raise ConfigValidationError(f"the data has no columns {', '.join(map(repr, missing))}; it has {', '.join(arrow_schema.names)}")


def shard_of_written_row(compiled: CompiledCel, context: dict[str, Any], lookup: dict[RoutingValue, int] | None) -> int:
    """route_cel for writers: what no shard is meant for ends the write."""
    try:
        return route_cel(compiled, context, lookup=lookup)
    except UnknownRoutingTokenError as error:
        raise ShardAssignmentError(str(error)) from error
