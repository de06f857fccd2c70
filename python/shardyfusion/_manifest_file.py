"""The SQLite file that a manifest is: written, checked and read in memory. Source: docs/formats/sharded_manifest.md."""

from __future__ import annotations

import sqlite3
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from ._manifest_columns import BUILD_COLUMNS, SHARD_COLUMNS, Column, ManifestColumns, build_of, manifest_of, shard_of
from .errors import ManifestBuildError, ManifestParseError
from .manifest import ParsedManifest, RequiredBuildMeta, RequiredShardMeta

MAGIC = b"SQLite format 3\0"
SIZE_BYTES_MAX = 64 * 2**20

_SCHEMA = """
CREATE TABLE build_meta (run_id TEXT NOT NULL, created_at TEXT NOT NULL, num_dbs INTEGER NOT NULL, s3_prefix TEXT NOT NULL,
  key_col TEXT NOT NULL, sharding TEXT NOT NULL, db_path_template TEXT NOT NULL, shard_prefix TEXT NOT NULL,
  format_version INTEGER NOT NULL, key_encoding TEXT NOT NULL, custom TEXT NOT NULL DEFAULT '{}');
CREATE TABLE shards (db_id INTEGER NOT NULL PRIMARY KEY, db_url TEXT, attempt INTEGER NOT NULL, row_count INTEGER NOT NULL,
  db_bytes INTEGER NOT NULL, min_key TEXT, max_key TEXT, checkpoint_id TEXT, writer_info TEXT NOT NULL DEFAULT '{}');
CREATE TABLE datashard_check (crc32 TEXT NOT NULL);
"""


def write_manifest(columns: ManifestColumns) -> bytes:
    """Raises: ManifestBuildError."""
    with closing(sqlite3.connect(":memory:")) as con:
        try:
            con.execute("PRAGMA page_size = 4096")
            con.executescript(_SCHEMA)
            con.execute(_insert("build_meta", BUILD_COLUMNS), columns.build)
            con.executemany(_insert("shards", SHARD_COLUMNS), columns.shards)
            con.execute("INSERT INTO datashard_check VALUES (?)", (checksum(columns),))
            con.commit()
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise ManifestBuildError(f"the manifest of run {columns.build[0]!r} cannot be written down: {error}") from error
        payload = con.serialize()
    if len(payload) > SIZE_BYTES_MAX:
        raise ManifestBuildError(f"a manifest is at most {SIZE_BYTES_MAX} bytes, this one is {len(payload)}")
    return payload


def _insert(table: str, columns: list[Column]) -> str:
    names = ", ".join(column.name for column in columns)
    return f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"


def checksum(columns: ManifestColumns) -> str:
    """CRC-32 of all values, eight hexadecimal digits."""
    crc = 0
    for row in [columns.build, *columns.shards]:
        crc = zlib.crc32(b"".join(map(_checked_bytes, row)), crc)
    return f"{crc:08x}"


def _checked_bytes(value: int | str | None) -> bytes:
    if value is None:
        return b"n"
    if isinstance(value, int):
        return b"i%d;" % value
    text = value.encode()
    return b"t%d:%s" % (len(text), text)


def read_manifest(payload: bytes) -> ParsedManifest:
    """Raises: ManifestParseError for what is no whole, undamaged manifest."""
    with opened(payload) as con:
        build = _build_row(con)
        shards = list(_within(len(payload), _rows(con, "shards", SHARD_COLUMNS, "ORDER BY db_id")))
        manifest = manifest_of(build, shards)
        _check(con, build, shards)
        return manifest


@contextmanager
def opened(payload: bytes) -> Iterator[sqlite3.Connection]:
    """A connection to the manifest's own tables; statements are bounded in time and memory by the manifest's size.

    Raises, also for errors inside the block: ManifestParseError.
    """
    if not payload.startswith(MAGIC):
        raise ManifestParseError(f"a manifest is a SQLite file; this one begins with {payload[:16]!r}")
    if len(payload) > SIZE_BYTES_MAX:
        raise ManifestParseError(f"a manifest is at most {SIZE_BYTES_MAX} bytes, this one is {len(payload)}")
    with closing(sqlite3.connect(":memory:")) as con:
        try:
            con.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, len(payload) + 4096)
            con.set_progress_handler(lambda: 1, 1_000_000 + 10 * len(payload))
            con.deserialize(payload)
            con.execute("PRAGMA trusted_schema = OFF")
            con.execute("PRAGMA cell_size_check = ON")
            tables = {name for (name,) in con.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if missing := {"build_meta", "shards"} - tables:
                raise ManifestParseError(f"a manifest has the tables build_meta and shards; here is no {sorted(missing)[0]}")
            yield con
        except (sqlite3.Error, OverflowError, UnicodeError, MemoryError) as error:
            raise ManifestParseError(f"a damaged manifest of {len(payload)} bytes: {error}") from error


def _rows(con: sqlite3.Connection, table: str, columns: list[Column], rest: str, *values: object) -> Iterator[dict[str, Any]]:
    names = [column.name for column in columns]
    for row in con.execute(f"SELECT {', '.join(names)} FROM {table} {rest}", values):
        yield dict(zip(names, row))


def _within(size_bytes: int, rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows as long as their text can have come from a file of that size: in a forged one a page may belong to many rows."""
    left = size_bytes
    for row in rows:
        left -= sum(len(value) for value in row.values() if isinstance(value, (str, bytes))) + 1
        if left < 0:
            raise ManifestParseError(f"a damaged manifest: its rows are longer than its {size_bytes} bytes")
        yield row


def _build_row(con: sqlite3.Connection) -> dict[str, Any]:
    row = next(_rows(con, "build_meta", BUILD_COLUMNS, "LIMIT 1"), None)
    if row is None:
        raise ManifestParseError("table build_meta is empty")
    return row


def _check(con: sqlite3.Connection, build: dict[str, Any], shards: list[dict[str, Any]]) -> None:
    if not con.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'datashard_check'").fetchone():
        return
    expected = checksum(ManifestColumns(tuple(build[column.name] for column in BUILD_COLUMNS),
                                        [tuple(shard[column.name] for column in SHARD_COLUMNS) for shard in shards]))
    found = con.execute("SELECT crc32 FROM datashard_check").fetchone()
    if found != (expected,):
        raise ManifestParseError(f"a damaged manifest: its checksum is {found and found[0]!r}, its contents have {expected!r}")


def load_sqlite_build_meta(con: sqlite3.Connection) -> tuple[RequiredBuildMeta, dict[str, Any]]:
    """What holds for the whole snapshot, and the custom fields, without a look at the shards. Raises: ManifestParseError."""
    meta, custom, _ = build_of(_build_row(con))
    return meta, custom


class SqliteShardLookup:
    """Shards of a manifest, read when asked for; the last `cache_size` of them are kept. For one thread, as `con` is."""

    def __init__(self, con: sqlite3.Connection, num_dbs: int, *, cache_size: int = 4096) -> None:
        if cache_size < 1:
            raise ValueError(f"cache_size is at least 1, given {cache_size}")
        self._con = con
        self._num_dbs = num_dbs
        self._cache_size = cache_size
        self._cache: OrderedDict[int, RequiredShardMeta] = OrderedDict()
        _, _, self._ours = build_of(_build_row(con))

    def get_shard(self, db_id: int) -> RequiredShardMeta:
        """The shard; an empty one where the manifest lists none. Raises: ValueError for ids out of range; ManifestParseError."""
        if not 0 <= db_id < self._num_dbs:
            raise ValueError(f"the snapshot has the shards 0 to {self._num_dbs - 1}, asked for is {db_id}")
        if db_id in self._cache:
            self._cache.move_to_end(db_id)
            return self._cache[db_id]
        row = next(_rows(self._con, "shards", SHARD_COLUMNS, "WHERE db_id = ?", db_id), None)
        shard = RequiredShardMeta.empty(db_id) if row is None else shard_of(row, self._ours)
        self._cache[db_id] = shard
        if len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)
        return shard
