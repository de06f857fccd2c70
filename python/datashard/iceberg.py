"""Tables: create, open, append, read, travel in time."""

from __future__ import annotations

import os

from . import rows as _rows
from ._load import core
from .data_structures import DataFile, FileFormat, PartitionSpec, Schema, Snapshot
from .exceptions import FileMissing, InvalidArgument, SchemaMismatchError, exception_of, not_yet
from .file_manager import FileManager
from .filters import for_core as _filter_for_core
from .metadata_manager import MetadataManager, is_id
from .snapshot_manager import SnapshotManager, clamp_ms
from .transaction import Transaction, TransactionManager

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any, Iterable, Iterator

    import pandas
    import pyarrow

    Path = str | os.PathLike[str]

__all__ = ["Table", "create_table", "load_table", "migrate_table", "DataFile", "FileFormat", "Schema", "Snapshot", "Transaction"]


def create_table(table_path: Path, schema: Schema | None = None, partition_spec: PartitionSpec | None = None,
                 if_exists: str = "error", properties: dict[str, str] | None = None) -> Table:
    """Create a table in directory `table_path`, made with its parents; open it if it is there already.

    With DATASHARD_STORAGE_TYPE=s3, or where `table_path` is s3://bucket/path, the table lies in a bucket (docs/s3.md).

    schema: its columns; without one, the table takes the columns of its first append.
    if_exists: what to do where the table that is there has another schema: "error" raises SchemaMismatchError, "ignore"
        opens it. Table.created tells what happened.
    properties: Iceberg table properties of a new table.
    """
    if if_exists not in ("error", "ignore"):
        raise InvalidArgument(f"if_exists must be 'error' or 'ignore', not {if_exists!r}")
    try:
        return Table(table_path, True, schema, partition_spec, properties=properties)
    except SchemaMismatchError:
        if if_exists == "error":
            raise
        return load_table(table_path)


def load_table(table_path: Path) -> Table:
    """Open the table in directory `table_path`. Creates nothing.

    Raises: ValueError (TableNotFound) where there is none; LegacyLayoutError for a table older than release 0.10.
    """
    return Table(table_path, create_if_not_exists=False)


def migrate_table(path: Path, dry_run: bool = False, metadata_file: str | None = None) -> dict[str, Any]:
    raise not_yet("migrate_table", "convert the table once with datashard==0.11.2: `datashard migrate TABLE`")


class Table:
    """A table, usable from several threads and, after pickling or fork, from other processes.

    Every call sees the newest state; a scan that has begun stays with the state it began with. Reads take no lock.

    table_path: the path as given.
    """

    def __init__(self, table_path: Path, create_if_not_exists: bool = True, schema: Schema | None = None,
                 partition_spec: PartitionSpec | None = None, *, properties: dict[str, str] | None = None):
        if partition_spec is not None and partition_spec.fields:
            raise not_yet("partition_spec", "create the table without one; filters skip files by their column bounds")
        self.table_path = os.fspath(table_path)
        if not isinstance(self.table_path, str) or not self.table_path:
            raise InvalidArgument(f"a table path is a non-empty string, not {self.table_path!r}")
        try:
            self.table_path.encode()
        except UnicodeEncodeError:
            raise InvalidArgument(f"the table path {self.table_path!r} is not UTF-8, which file names in a table have to be") from None
        if create_if_not_exists:
            self._core = core.Table.create(self.table_path, _rows.for_core(schema), _text_map(properties), True)
        else:
            self._core = core.Table.open(self.table_path)
        self.metadata_manager = MetadataManager(self._core)
        self.snapshot_manager = SnapshotManager(self.metadata_manager)
        self.file_manager = FileManager(self.table_path, self.metadata_manager)
        self.transaction_manager = TransactionManager(self)

    def __reduce__(self):
        # Where it lies, and not its path: the working directory may be another one by now.
        return load_table, (self.location.removeprefix("file://"),)

    def __repr__(self) -> str:
        return f"<datashard.Table {self.table_path!r}>"

    # What it is.

    @property
    def created(self) -> bool:
        """Did the call that gave this object make the table, rather than find it?"""
        return self._core.created

    @property
    def location(self) -> str:
        """URI of the directory (file://) or of the place in a bucket (s3://) the table lies in."""
        return self._core.location

    @property
    def metadata_location(self) -> str:
        """The metadata file of the newest state, for Iceberg readers: an absolute path, or an s3:// URI."""
        return self._core.metadata_path()

    @property
    def schema(self) -> Schema | None:
        """The current columns; None while the table has none."""
        found = self._core.schema()
        return None if found is None else Schema._of_table(*found)

    @property
    def storage(self) -> Any:
        raise not_yet("Table.storage", "use Table.file_manager, or the files below Table.table_path")

    def properties(self) -> dict[str, str]:
        """Iceberg table properties."""
        return self._core.properties()

    def metrics(self) -> dict[str, float]:
        """Sums, by name, of what happened through this object: commit attempts, groups, seconds by phase.

        docs/observability.md says what each name counts.
        """
        return self._core.metrics()

    def refresh(self) -> bool:
        """Look for a newer state now; every other call does so by itself. Returns: True."""
        self._core.version()
        return True

    # Writing.

    def append_records(self, records: Iterable[dict[str, Any]] | Any, schema: Schema | None = None,
                       partition_values: dict[str, Any] | None = None) -> bool:
        """Append rows, durable when the call returns. Appends that wait at the same moment share a snapshot.

        records: dicts of column to value, keys in any order; missing optional columns are null. Values are stored without
            loss or refused: 1.9, True or "12" do not go into a long. Anything with an Arrow stream is taken too.
        schema: has to have the table's columns. For a table without any: what it gets; none: what fits the records.
        Returns: True. No rows: no snapshot, and a warning is logged.
        Raises: ValueError (InvalidArgument), naming record and field; ConcurrentModificationException after ten minutes of
            lost races, with nothing published; AmbiguousCommitError.
        """
        _rows.refuse_partition_values(partition_values)
        if _rows.is_arrow(records):
            return self.append_arrow(records, schema)
        listed = _rows.as_list(records)
        if not listed:
            return self._appended(None)
        return self._appended(self._core.append_records(listed, _rows.for_core(schema)))

    def append_arrow(self, table: Any, schema: Schema | None = None) -> bool:
        """Append the rows of anything with __arrow_c_stream__ or __arrow_c_array__: tables, batches and readers of pyarrow,
        data frames of pandas and polars, relations of DuckDB. Columns are matched by name; see append_records.
        """
        return self._appended(self._core.append_arrow(_rows.from_arrow(table), _rows.for_core(schema)))

    def append_pandas(self, df: pandas.DataFrame, schema: Schema | None = None) -> bool:
        """Append the rows of a DataFrame. Its index is left out, NaN is null; see append_records."""
        return self._appended(self._core.append_arrow(_rows.from_pandas(df), _rows.for_core(schema)))

    def append_data(self, files: Iterable[DataFile]) -> bool:
        """Append the rows of existing Parquet files below the table's root, in one snapshot.

        The rows are copied into a file of the table's own, so the given ones may go afterwards.
        Raises: FileNotFoundError; ValueError for files outside the root and for other columns than the table's.
        """
        with self.new_transaction() as transaction:
            transaction.append_files(files)
        return True

    def new_transaction(self) -> Transaction:
        """A transaction, begun by `with` or `begin()`."""
        return Transaction(self)

    # Time.

    def current_snapshot(self) -> Snapshot | None:
        """The newest state; None while the table is empty."""
        return self.snapshot_manager.get_current_snapshot()

    def snapshot_by_id(self, snapshot_id: int) -> Snapshot | None:
        """The snapshot, or None."""
        return self.snapshot_manager.get_snapshot_by_id(snapshot_id)

    def snapshots(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Oldest first; dicts with snapshot_id, timestamp_ms, timestamp (local time), operation, summary, parent_id.

        All that ever were, unless `limit` asks for the newest so many. Raises: ValueError for a negative limit.
        """
        return self.snapshot_manager.list_snapshots(limit)

    def time_travel(self, snapshot_id: int | None = None, timestamp: int | None = None) -> Snapshot | None:
        """The snapshot with that id, else the newest at or before `timestamp` (epoch milliseconds), else the current one.

        Returns: None for an unknown id, and before the first snapshot. Read its rows with scan(snapshot_id=...).
        """
        if snapshot_id is not None:
            return self.snapshot_by_id(snapshot_id)
        if timestamp is not None:
            return self.snapshot_manager.get_snapshot_as_of_time(timestamp)
        return self.current_snapshot()

    def row_count(self, snapshot_id: int | None = None) -> int:
        """Rows of a snapshot, from metadata alone. Raises: ValueError for an unknown id."""
        return self._core.row_count(_known_id(snapshot_id))

    # Reading. All of these take:
    #   columns           names in the order wanted; None means all, [] means rows without columns
    #   filter            see datashard.filters
    #   verify_checksums  "page" (the default) or True: check the CRC of every page read; "full" does the same; "off" or False
    #   snapshot_id       None means the current state
    # and raise ValueError for unknown columns, operators and snapshots, FileNotFoundError and CorruptDataError for files
    # that are gone or damaged; partial rows are never returned.

    def scan(self, columns: Iterable[str] | None = None, filter: dict[str, Any] | None = None,
             parallel: bool | int = False, verify_checksums: str | bool | None = None,
             snapshot_id: int | None = None) -> list[dict[str, Any]]:
        """The rows as dicts, in the order they were appended. parallel: True for all cores, or a number of threads."""
        return self._scan(columns, filter, parallel, verify_checksums, snapshot_id).all_records()

    def to_arrow(self, columns: Iterable[str] | None = None, filter: dict[str, Any] | None = None,
                 parallel: bool | int = False, verify_checksums: str | bool | None = None,
                 snapshot_id: int | None = None) -> pyarrow.Table:
        """The rows as a pyarrow Table; uuids are strings."""
        import pyarrow

        stream = self._scan(columns, filter, parallel, verify_checksums, snapshot_id)
        try:
            return pyarrow.table(_Capsule(stream))
        except (pyarrow.ArrowException, OSError):
            stream.raise_error()
            raise

    def to_pandas(self, columns: Iterable[str] | None = None, filter: dict[str, Any] | None = None,
                  parallel: bool | int = False, verify_checksums: str | bool | None = None,
                  snapshot_id: int | None = None) -> pandas.DataFrame:
        """The rows as a DataFrame. Raises: ImportError without pandas."""
        _require_pandas()
        return self.to_arrow(columns, filter, parallel, verify_checksums, snapshot_id).to_pandas()

    def scan_batches(self, batch_size: int = 10000, columns: Iterable[str] | None = None,
                     filter: dict[str, Any] | None = None, parallel: bool | int = False,
                     verify_checksums: str | bool | None = None,
                     snapshot_id: int | None = None) -> Iterator[list[dict[str, Any]]]:
        """The rows as lists of at most `batch_size` dicts; a few batches are in memory at a time."""
        stream = self._scan(columns, filter, parallel, verify_checksums, snapshot_id, _size("batch_size", batch_size))
        return iter(stream.next_records, None)

    def iter_records(self, columns: Iterable[str] | None = None, filter: dict[str, Any] | None = None,
                     parallel: bool | int = False, verify_checksums: str | bool | None = None,
                     snapshot_id: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows one by one; a few batches are in memory at a time."""
        return _one_by_one(self.scan_batches(10000, columns, filter, parallel, verify_checksums, snapshot_id))

    def iter_pandas(self, chunksize: int = 50000, columns: Iterable[str] | None = None,
                    filter: dict[str, Any] | None = None, parallel: bool | int = False,
                    verify_checksums: str | bool | None = None,
                    snapshot_id: int | None = None) -> Iterator[pandas.DataFrame]:
        """The rows as DataFrames of at most `chunksize` rows. Raises: ImportError without pandas."""
        _require_pandas()
        stream = self._scan(columns, filter, parallel, verify_checksums, snapshot_id, _size("chunksize", chunksize))
        return _frames(stream)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The current rows for pyarrow.table(table), polars.DataFrame(table) and DuckDB's `FROM table`."""
        return self._scan(None, None, False, None, None).capsule(False)

    # DuckDB, over rows that were read and checked here.

    def to_duckdb(self, connection: Any = None, view_name: str = "t", **scan_kwargs: Any) -> Any:
        """A DuckDB connection that knows the rows as `view_name`: `connection`, or a new one in memory.

        scan_kwargs: those of to_arrow; the rows are of one snapshot and stay in memory. Raises: ImportError without duckdb.
        """
        if connection is None:
            connection = _require_duckdb().connect()
        connection.register(view_name, self.to_arrow(**scan_kwargs))
        return connection

    def sql(self, query: str, alias: str = "t", **scan_kwargs: Any) -> pyarrow.Table:
        """The answer to one DuckDB query over the rows, which it knows as `alias`. As to_duckdb."""
        with _require_duckdb().connect() as connection:
            answer = self.to_duckdb(connection, alias, **scan_kwargs).sql(query)
            if answer is None:
                raise InvalidArgument(f"{query!r} has no rows for an answer; a query is wanted, such as SELECT count(*) FROM {alias}")
            return answer.to_arrow_table()

    # Other engines, reading by themselves: neither checksums nor filters of this package apply.

    def parquet_paths(self, snapshot_id: int | None = None) -> list[str]:
        """The Parquet files of a snapshot, in the order of commits: absolute paths, or s3:// URIs of a table in a bucket.

        Raises: ValueError for an unknown id; Unsupported for a snapshot with row-level deletes.
        """
        return self._core.data_file_paths(_known_id(snapshot_id))

    def duckdb_s3_secret_sql(self, name: str = "datashard_s3") -> str:
        """The CREATE SECRET statement that lets DuckDB's httpfs read the table's bucket. It holds the keys: show it to nobody.

        Without keys in DATASHARD_S3_ACCESS_KEY, DuckDB looks for them itself, with its extension `aws`.
        Raises: ValueError for a table in a directory.
        """
        if not isinstance(name, str):
            raise InvalidArgument(f"the name of a secret is a text, not {name!r}")
        return self._core.duckdb_secret_sql(name)

    # Later.

    def set_properties(self, properties: dict[str, str | None]) -> bool:
        raise not_yet("Table.set_properties", "give properties to create_table")

    def expire_snapshots(self, older_than_ms: int | None = None, retain_last: int | None = None,
                         compact_manifests: bool = True) -> int:
        raise not_yet("Table.expire_snapshots", "all snapshots are kept")

    def compact_manifests(self) -> bool:
        raise not_yet("Table.compact_manifests", "manifests need no care of yours")

    def repair_version_hint(self, metadata_file: str) -> None:
        raise not_yet("Table.repair_version_hint", "the hint heals by itself with the next append")

    def relocate(self) -> dict[str, int]:
        raise not_yet("Table.relocate", "a moved table is read and written where it lies now")

    def garbage_collect(self, grace_period_ms: int = 3600000, allow_short_grace: bool = False) -> dict[str, int]:
        raise not_yet("Table.garbage_collect", "unreferenced files do no harm")

    def verify(self, deep: bool = False, limit: int | None = None, snapshot_id: int | None = None) -> dict[str, Any]:
        raise not_yet("Table.verify", "a scan checks every page it reads; FileManager.verify_integrity looks for the files")

    def rewrite_data_files(self, target_file_size_bytes: int = 128 << 20, partition: dict[str, Any] | None = None,
                           min_input_files: int = 5, dry_run: bool = False) -> dict[str, Any]:
        raise not_yet("Table.rewrite_data_files", "append in larger batches")

    # For this package.

    def _scan(self, columns: Iterable[str] | None, filter: dict[str, Any] | None, parallel: bool | int | None,
              verify_checksums: str | bool | None, snapshot_id: int | None, batch_rows: int = 0) -> Any:
        return self._core.scan(_columns(columns), _filter_for_core(filter), _known_id(snapshot_id), _threads(parallel),
                               batch_rows, _verify(verify_checksums))

    def _appended(self, snapshot: dict[str, Any] | None) -> bool:
        if snapshot is None:
            import logging

            logging.getLogger("datashard").warning("append to %s: no rows, so no snapshot", self.table_path)
        return True

    def _parquet_files(self, files: Iterable[DataFile]) -> Iterator[str]:
        """Absolute paths of existing files of this table."""
        for file in files:
            if not isinstance(file, DataFile):
                raise InvalidArgument(f"files to append are DataFile objects, not {file!r}")
            if file.file_format not in (FileFormat.PARQUET, "parquet"):
                raise InvalidArgument(f"{file.file_path} is {file.file_format}; only Parquet files can be read")
            relative = self.file_manager.to_relative(file.file_path)
            if ":" in relative:
                relative = self._core.relative_path(relative)
            if not self._core.file_exists(relative):
                raise FileMissing(f"{file.file_path} does not exist below {self.table_path}")
            yield os.path.join(os.path.abspath(self.table_path), relative)

    def _has_snapshots_before(self, older_than_ms: int, retain_last: int | None) -> bool:
        if retain_last is not None and retain_last < 1:
            raise InvalidArgument(f"retain_last is {retain_last}; at least the current snapshot is kept")
        current = self._core.current_snapshot()
        kept = {current["snapshot_id"]} if current else set()
        found = self._core.snapshots()
        kept |= {snapshot["snapshot_id"] for snapshot in found[-(retain_last or 1):]}
        cutoff = clamp_ms(older_than_ms)
        return any(s["timestamp_ms"] < cutoff and s["snapshot_id"] not in kept for s in found)


class _Capsule:
    """A scan for pyarrow, uuids as strings."""

    def __init__(self, stream: Any):
        self._stream = stream

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._stream.capsule(True)


def _one_by_one(batches: Iterator[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    # A generator, and not itertools.chain: that one crashes where several threads draw from it.
    for batch in batches:
        yield from batch


def _frames(stream: Any) -> Iterator[pandas.DataFrame]:
    import pyarrow

    reader = pyarrow.RecordBatchReader.from_stream(_Capsule(stream))
    while True:
        try:
            batch = reader.read_next_batch()
        except StopIteration:
            return
        except (pyarrow.ArrowException, OSError):
            stream.raise_error()
            raise
        if batch.num_rows:
            yield batch.to_pandas()


def _text_map(properties: dict[str, str] | None) -> dict[str, str]:
    if properties is None:
        return {}
    if not hasattr(properties, "items"):
        raise InvalidArgument(f"properties are a dict of text to text, not {properties!r}")
    for key, value in properties.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise InvalidArgument(f"property {key!r} is {value!r}; names and values of table properties are text")
    return dict(properties)


def _require_pandas() -> None:
    try:
        import pandas  # noqa: F401
    except ImportError as error:
        raise ImportError("data frames need pandas: pip install 'datashard[pandas]'") from error


def _require_duckdb() -> Any:
    try:
        import duckdb
    except ImportError as error:
        raise ImportError("to_duckdb and sql need DuckDB: pip install 'datashard[duckdb]'") from error
    return duckdb


def _columns(columns: Iterable[str] | None) -> list[str] | None:
    if columns is None:
        return None
    if isinstance(columns, (str, bytes)):
        raise InvalidArgument(f"columns must be a list of names, not {columns!r}")
    listed = list(columns)
    for name in listed:
        if not isinstance(name, str):
            raise exception_of("invalid argument", "column", f"{name!r} is no column name")
    return listed


def _threads(parallel: bool | int | None) -> int:
    """Threads for the core, where 0 means one per core."""
    if parallel is True:
        return 0
    if parallel is None or parallel is False:
        return 1
    if not isinstance(parallel, int) or not 0 <= parallel <= 1024:
        raise InvalidArgument(f"parallel is {parallel!r}; expected True, False or a number of threads up to 1024")
    return parallel or 1


def _size(name: str, rows: int) -> int:
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise InvalidArgument(f"{name} is {rows!r}; expected a number of rows of at least 1")
    return min(rows, 2**31)


def _known_id(snapshot_id: int | None) -> int | None:
    if snapshot_id is None or is_id(snapshot_id):
        return snapshot_id
    raise exception_of("invalid argument", "snapshot", f"the table has no snapshot {snapshot_id!r}")


def _verify(mode: str | bool | None) -> bool:
    if mode is None:
        mode = os.environ.get("DATASHARD_VERIFY_CHECKSUMS", "page").lower()
        mode = {"true": True, "1": True, "false": False, "0": False}.get(mode, mode)
    if mode in (True, "page", "full"):
        return True
    if mode in (False, "off"):
        return False
    raise InvalidArgument(f"verify_checksums must be 'page', 'full', 'off', True or False, not {mode!r}")
