"""Rows of any source, taken to the core by the shortest way: columns of Arrow as they are, all else record by record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import Any

from ... import _core
from ...config import ColumnWriteInput, PythonRecordInput
from ...errors import ConfigValidationError
from ...serde import BinaryColumn, JsonColumns, ValueSpec
from ._progress import Progress


def count_of(data: Any) -> int:
    """Raises: ConfigValidationError for data that do not say how many rows they have."""
    rows = getattr(data, "num_rows", None)
    if isinstance(rows, int):
        return rows
    if isinstance(data, Sized):
        return len(data)
    raise ConfigValidationError(f"max_keys_per_shard needs data that know their size; {type(data).__name__} has neither len() nor num_rows. "
                                "Give num_dbs, or a list")


def add_rows(writer: _core.Writer, data: Any, taken: PythonRecordInput[Any] | ColumnWriteInput, cel_columns: Mapping[str, str] | None,
             progress: Progress) -> None:
    """`taken` says how; `cel_columns` are what a CEL rule reads, None for others."""
    if isinstance(taken, PythonRecordInput):
        columns_fn = taken.columns_fn if cel_columns is not None else None
        if cel_columns is not None and columns_fn is None and set(cel_columns) != {"key"}:
            raise ConfigValidationError(f"the rule reads the columns {', '.join(cel_columns)}; PythonRecordInput needs a columns_fn")
        writer.add_records(_records(data), taken.key_fn, taken.value_fn, columns_fn, progress.rows)
        return
    spec = taken.value_spec
    arrow = _arrow_of(data)
    if arrow is not None and (columns := _value_columns(spec)) is not None:
        value_col, json, json_cols = columns
        writer.add_rows(arrow, taken.key_col, value_col, json_cols, json, progress.rows)
        return
    reads_key_only = cel_columns is None or (set(cel_columns) == {"key"} and taken.key_col != "key")
    writer.add_records(_records(data), _column(taken.key_col), spec.encode, None if reads_key_only else _columns_of_row, progress.rows)


def _value_columns(spec: ValueSpec) -> tuple[str | None, bool, list[str] | None] | None:
    """(binary column, is it JSON, the columns of JSON); None for values that a function makes."""
    if isinstance(spec, ValueSpec) and isinstance(spec.encoder, BinaryColumn):
        return spec.encoder.name, False, None
    if isinstance(spec, ValueSpec) and isinstance(spec.encoder, JsonColumns):
        return None, True, spec.referenced_columns()
    return None


def _arrow_of(data: Any) -> Any:
    """What has an Arrow stream; None where rows have to be taken one by one."""
    if not hasattr(data, "__arrow_c_stream__"):
        return None
    if type(data).__module__.partition(".")[0] == "pandas":
        try:
            import pyarrow
        except ImportError:
            return None
        return pyarrow.Table.from_pandas(data, preserve_index=False)
    return data


def _column(name: str) -> Callable[[Any], Any]:
    def key_of(row: Any) -> Any:
        try:
            return row[name]
        except (KeyError, ValueError, TypeError, IndexError):
            raise ConfigValidationError(f"a row has no column {name!r}") from None

    return key_of


def _columns_of_row(row: Any) -> Any:
    return row if isinstance(row, Mapping) else row.asDict(recursive=True)


def _records(data: Any) -> Iterable[Any]:
    """Rows one by one: frames and tables give mappings."""
    if hasattr(data, "iter_rows"):  # Polars
        return data.iter_rows(named=True)  # type: ignore[no-any-return]
    if hasattr(data, "itertuples"):  # pandas
        return _frame_rows(data)
    if hasattr(data, "to_batches"):  # pyarrow
        return _table_rows(data)
    if hasattr(data, "to_pylist") or hasattr(data, "read_all"):
        return _table_rows(data)
    if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__iter__"):
        import pyarrow

        return _table_rows(pyarrow.RecordBatchReader.from_stream(data))
    if isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise ConfigValidationError(f"rows are an iterable of records, or columns of Arrow; {type(data).__name__} is neither")
    return data  # type: ignore[no-any-return]


def _frame_rows(frame: Any) -> Iterator[dict[str, Any]]:
    names = list(frame.columns)
    for row in frame.itertuples(index=False, name=None):
        yield dict(zip(names, row))


def _table_rows(table: Any) -> Iterator[Any]:
    batches = table.to_batches() if hasattr(table, "to_batches") else [table] if hasattr(table, "to_pylist") else table
    for batch in batches:
        yield from batch.to_pylist()
