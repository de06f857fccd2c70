"""What appends accept as rows."""

from __future__ import annotations


from .exceptions import InvalidArgument, exception_of, not_yet

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any

    from .data_structures import Schema


def is_arrow(rows: Any) -> bool:
    """Does `rows` speak Arrow's PyCapsule interface?"""
    return hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__")


def as_list(records: Any) -> list | tuple:
    """`records`, any iterable of dicts, as a list or tuple."""
    if isinstance(records, (list, tuple)):
        return records
    if records is None:
        return []
    if isinstance(records, (dict, str, bytes)) or not hasattr(records, "__iter__"):
        raise exception_of("invalid argument", "value",
                           f"records must be a list of dicts, not {type(records).__name__}"
                           + ("; put the dict into a list" if isinstance(records, dict) else ""))
    return list(records)


def from_arrow(rows: Any) -> Any:
    """`rows` as an object with an Arrow stream."""
    if _is_pandas(rows):
        return from_pandas(rows)
    if rows is None:
        raise exception_of("invalid argument", "value", "None holds no Arrow data; give a table, reader or data frame")
    return rows


def from_pandas(frame: Any) -> Any:
    """A DataFrame as a pyarrow Table: its index is no column, and NaN is null as everywhere in pandas."""
    import pyarrow

    if not _is_pandas(frame):
        raise exception_of("invalid argument", "value", f"a pandas DataFrame is wanted, not {type(frame).__name__}")
    try:
        return pyarrow.Table.from_pandas(frame, preserve_index=False)
    except (pyarrow.ArrowException, TypeError, ValueError) as error:
        raise exception_of("invalid argument", "value", f"the data frame cannot be stored: {error}") from error


def _is_pandas(rows: Any) -> bool:
    """Is it a DataFrame of pandas, or of a class made from one? Asked without importing pandas."""
    return any(c.__name__ == "DataFrame" and c.__module__.partition(".")[0] == "pandas" for c in type(rows).__mro__)


def for_core(schema: Schema | None) -> tuple[int, list[dict[str, Any]]] | None:
    """A schema in the shape `_core` takes; one without fields is none."""
    if schema is None:
        return None
    try:
        return (schema.schema_id, schema.fields) if schema.fields else None
    except AttributeError:
        raise InvalidArgument(f"a schema is a datashard.Schema, not {type(schema).__name__}") from None


def refuse_partition_values(values: dict[str, Any] | None) -> None:
    """Labels of files have no place in the tables of this release."""
    if values:
        raise not_yet("partition_values", "store the values as columns")
