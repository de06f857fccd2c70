"""Several appends that become visible together, in one snapshot."""

from __future__ import annotations

from _thread import RLock
from contextlib import contextmanager
from types import TracebackType

from . import rows as _rows
from .exceptions import not_yet

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Iterator

    from .data_structures import DataFile, Schema
    from .iceberg import Table


class Transaction:
    """A transaction on a table, made by `Table.new_transaction()`.

        with table.new_transaction() as tx:
            tx.append_records(first)
            tx.append_records(second)

    It begins with `with` or `begin()`. Leaving the block commits; an exception rolls back and goes on. Rows are written
    as they are given and become visible only by the commit. Threads that share one take turns.
    """

    def __init__(self, table: Table):
        self._table = table
        self._core = table._core.new_transaction()
        self._lock = RLock()

    def begin(self) -> Transaction:
        """Start, forgetting everything of an earlier life. Raises: RuntimeError while active."""
        with self._lock:
            if self.is_active():
                raise RuntimeError("Transaction is already active: commit or roll it back first")
            self._core.begin()
        return self

    def is_active(self) -> bool:
        """Was it begun, and neither committed nor rolled back?"""
        return self._core.is_active

    def append_records(self, records: Iterable[dict[str, Any]] | Any, schema: Schema | None = None,
                       partition_values: dict[str, Any] | None = None) -> Transaction:
        """Stage rows; see Table.append_records. Raises: RuntimeError when not active."""
        _rows.refuse_partition_values(partition_values)
        if _rows.is_arrow(records):
            return self.append_arrow(records, schema)
        with self._active():
            listed = _rows.as_list(records)
            if listed:
                self._core.append_records(self._table._core, listed, _rows.for_core(schema))
        return self

    append_data = append_records

    def append_arrow(self, table: Any, schema: Schema | None = None,
                     partition_values: dict[str, Any] | None = None) -> Transaction:
        """Stage the rows of an object with an Arrow stream; see Table.append_arrow."""
        _rows.refuse_partition_values(partition_values)
        with self._active():
            self._core.append_arrow(_rows.from_arrow(table), _rows.for_core(schema))
        return self

    def append_pandas(self, df: Any, schema: Schema | None = None,
                      partition_values: dict[str, Any] | None = None) -> Transaction:
        """Stage the rows of a pandas DataFrame; see Table.append_pandas."""
        _rows.refuse_partition_values(partition_values)
        with self._active():
            self._core.append_arrow(_rows.from_pandas(df), _rows.for_core(schema))
        return self

    def append_files(self, files: Iterable[DataFile]) -> Transaction:
        """Stage the rows of existing Parquet files below the table's root; see Table.append_data."""
        with self._active():
            for path in self._table._parquet_files(files):
                self._core.append_parquet(path)
        return self

    def delete_files(self, file_paths: Iterable[str]) -> Transaction:
        raise not_yet("Transaction.delete_files", "rows can only be appended")

    def overwrite_by_filter(self, filter_func: Callable[[Any], bool]) -> Transaction:
        raise not_yet("Transaction.overwrite_by_filter", "write the rows to keep to a new table")

    def expire_snapshots(self, older_than_ms: int | None = None, retain_last: int | None = None) -> Transaction:
        """Forget snapshots older than `older_than_ms` (epoch milliseconds), never the current one.

        Raises: NotImplementedError if there are any such snapshots, as they cannot be dropped yet; RuntimeError when not
            active.
        """
        with self._active():
            found = older_than_ms is None or self._table._has_snapshots_before(older_than_ms, retain_last)
        if found:
            raise not_yet("Transaction.expire_snapshots", "all snapshots are kept; nothing was changed")
        return self

    def set_properties(self, properties: dict[str, str | None]) -> Transaction:
        raise not_yet("Transaction.set_properties", "give properties to create_table")

    def compact_manifests(self) -> Transaction:
        raise not_yet("Transaction.compact_manifests", "manifests need no care of yours")

    def mark_replace(self) -> Transaction:
        raise not_yet("Transaction.mark_replace", "rows can only be appended")

    def commit(self) -> bool:
        """Publish what was staged, durably, in one snapshot; without rows there is none. Not active afterwards.

        Returns: True.
        Raises: RuntimeError when not active; ConcurrentModificationException, with nothing published; AmbiguousCommitError.
        """
        with self._active():
            self._core.commit()
        return True

    def rollback(self) -> bool:
        """Forget what was staged. Returns: False where it was not active."""
        with self._lock:
            return self._core.rollback()

    def __enter__(self) -> Transaction:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None:
            self.rollback()
        elif self.is_active():
            self.commit()

    @contextmanager
    def _active(self) -> Iterator[None]:
        with self._lock:
            if not self.is_active():
                raise RuntimeError("Transaction is not active: call begin() first, or use it in a with block")
            yield


class TransactionManager:
    """Makes transactions on one table."""

    def __init__(self, table: Table):
        self._table = table

    def begin_transaction(self) -> Transaction:
        """A transaction that has begun."""
        return self._table.new_transaction().begin()

    def get_active_transactions(self) -> list[Transaction]:
        raise not_yet("TransactionManager.get_active_transactions", "keep the transactions you begin")

    def cleanup_completed_transactions(self) -> None:
        """Nothing to do: a transaction that has ended holds nothing."""
