"""Row filters as users write them: a dict of column to condition, all of which must hold.

    {"status": "failed"}                    equality
    {"age": (">", 30)}                      an operator and its value
    {"id": ("in", [1, 2, 3])}
    {"ts": ("between", (low, high))}        inclusive
    {"note": ("is_null", True)}

Operators, in any case: == = eq, != <> ne, < lt, <= le, > gt, >= ge, in, not_in, between, is_null, is_not_null. As in SQL,
null matches no comparison, and neither does NaN; nulls among the values of in and not_in do not count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ._load import core
from .exceptions import InvalidArgument, exception_of, not_yet

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any


class FilterOp(Enum):
    """How a column is compared."""

    EQ = "=="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not_in"
    IS_NULL = "is_null"
    IS_NOT_NULL = "is_not_null"


@dataclass
class FilterExpression:
    """One condition: `column op value`."""

    column: str
    op: FilterOp
    value: Any


def parse_filter_dict(filter_dict: dict[str, Any] | None) -> list[FilterExpression]:
    """The conditions of a filter. between becomes two of them.

    Raises: InvalidArgument (a ValueError) for an unknown operator or a comparison with None; the pyarrow classes too for
        a condition that is no value, such as a list.
    """
    if not filter_dict:
        return []
    if not hasattr(filter_dict, "items"):
        raise InvalidArgument(f"a filter is a dict of column to condition, not {filter_dict!r}")
    expressions: list[FilterExpression] = []
    for column, condition in filter_dict.items():
        expressions += _conditions(column, condition)
    return expressions


def _conditions(column: Any, condition: Any) -> list[FilterExpression]:
    if not isinstance(column, str):
        raise exception_of("invalid argument", "column", f"{column!r} is no column name")
    if condition is None:
        raise InvalidArgument(f"{{{column!r}: None}} would match no row: nothing equals null. To select nulls write "
                              f"{{{column!r}: ('is_null', True)}}, for the others {{{column!r}: ('is_not_null', True)}}")
    if isinstance(condition, (tuple, list, set, frozenset, dict)):
        if not (isinstance(condition, tuple) and len(condition) == 2 and isinstance(condition[0], (str, FilterOp))):
            raise exception_of("invalid argument", "operand",
                               f"{column!r} cannot equal {condition!r}; for a choice of values write ('in', [...]), for "
                               f"other conditions a tuple (operator, value)")
        return _operator(column, *condition)
    return [FilterExpression(column, FilterOp.EQ, condition)]


def _operator(column: str, op: str | FilterOp, value: Any) -> list[FilterExpression]:
    name = op.value if isinstance(op, FilterOp) else core.parse_filter_op(op)
    if name == "between":
        try:
            low, high = () if isinstance(value, (str, bytes)) else value
        except (TypeError, ValueError):
            raise exception_of("invalid argument", "operand",
                               f"between on {column!r} needs a pair (low, high), not {value!r}") from None
        return [FilterExpression(column, FilterOp.GE, low), FilterExpression(column, FilterOp.LE, high)]
    if value is False and name in ("is_null", "is_not_null"):
        raise InvalidArgument(f"{{{column!r}: ({name!r}, False)}} can be read two ways; write is_null or is_not_null with True")
    return [FilterExpression(column, FilterOp(name), value)]


def for_core(filter_dict: dict[str, Any] | None) -> list[tuple[str, str, Any]]:
    """A filter in the shape `_core` takes."""
    return [(e.column, e.op.value, e.value) for e in parse_filter_dict(filter_dict)]


def get_column_id_by_name(schema: Any, column_name: str) -> int | None:
    """The field id of a column of `schema`; None where there is no such column."""
    return next((field["id"] for field in schema.fields if field["name"] == column_name), None)


def to_pyarrow_compute_expression(expressions: list[FilterExpression]) -> Any:
    raise not_yet("to_pyarrow_compute_expression", "give the filter to Table.scan or Table.to_arrow")


def prune_files_by_bounds(data_files: list[Any], expressions: list[FilterExpression], schema: Any) -> list[Any]:
    raise not_yet("prune_files_by_bounds", "Table.scan skips files by their bounds itself")
