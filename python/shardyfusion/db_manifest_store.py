"""Manifests in PostgreSQL, through any DB-API driver with `%s` parameters (psycopg, psycopg2).

A snapshot and the pointer to it become visible in one transaction. Tables: docs/formats/sharded_manifest.md, "PostgreSQL".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from ._manifest_columns import BUILD_COLUMNS, SHARD_COLUMNS, columns_of, manifest_of
from .errors import ConfigValidationError, ManifestStoreError, ReaderStateError, ShardyfusionError
from .manifest import ManifestRef, ParsedManifest, RequiredBuildMeta, RequiredShardMeta, moment_text

_JSON_COLUMNS = {"sharding", "custom", "min_key", "max_key", "writer_info"}

_SCHEMA = [
    """CREATE TABLE IF NOT EXISTS {builds} (run_id TEXT PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(),
      num_dbs INTEGER NOT NULL, s3_prefix TEXT NOT NULL, key_col TEXT NOT NULL DEFAULT '_key',
      db_path_template TEXT NOT NULL DEFAULT 'db={{db_id:05d}}', shard_prefix TEXT NOT NULL DEFAULT 'shards',
      key_encoding TEXT NOT NULL DEFAULT 'u64be', sharding JSONB NOT NULL, custom JSONB NOT NULL DEFAULT '{{}}')""",
    "ALTER TABLE {builds} ADD COLUMN IF NOT EXISTS format_version INTEGER NOT NULL DEFAULT 4",
    """CREATE TABLE IF NOT EXISTS {shards} (run_id TEXT NOT NULL REFERENCES {builds}(run_id), db_id INTEGER NOT NULL, db_url TEXT,
      attempt INTEGER NOT NULL, row_count BIGINT NOT NULL, db_bytes BIGINT NOT NULL, checkpoint_id TEXT, min_key JSONB, max_key JSONB,
      writer_info JSONB NOT NULL, PRIMARY KEY (run_id, db_id))""",
    """CREATE TABLE IF NOT EXISTS {pointer} (updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), manifest_ref TEXT NOT NULL)""",
    "ALTER TABLE {pointer} ADD COLUMN IF NOT EXISTS seq BIGSERIAL",
    "CREATE INDEX IF NOT EXISTS {pointer_index} ON {pointer} (updated_at DESC)",
    "CREATE INDEX IF NOT EXISTS {pointer_seq_index} ON {pointer} (seq DESC)",
]


class PostgresManifestStore:
    """A ManifestStore whose references are run ids. Callable from several threads: each call has a connection of its own.

    connection_factory: gives a new connection; it is closed after the call.
    ensure_table: makes the tables, and adds what earlier releases' tables lack, before the first call.
    Raises: ConfigValidationError for table names that are no plain names. All calls: ManifestStoreError.
    """

    def __init__(self, connection_factory: Callable[[], Any], *, table_name: str = "shardyfusion_manifests",
                 pointer_table_name: str = "shardyfusion_pointer", ensure_table: bool = True) -> None:
        for name in (table_name, pointer_table_name):
            if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]{0,50}\.)?[A-Za-z_][A-Za-z0-9_]{0,50}", name):
                raise ConfigValidationError(f"a table's name has letters, digits and '_' (and a schema before a dot), given {name!r}")
        plain_pointer = pointer_table_name.rsplit(".", 1)[-1]
        self._names = {"builds": f"{table_name}_builds", "shards": f"{table_name}_shards", "pointer": pointer_table_name,
                       "pointer_index": f"idx_{plain_pointer}_updated_at", "pointer_seq_index": f"idx_{plain_pointer}_seq"}
        self._connection_factory = connection_factory
        self._tables_are_there = not ensure_table

    def publish(self, *, run_id: str, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta],
                custom: dict[str, Any]) -> str:
        """A second snapshot of a run replaces the first."""
        if required_build.run_id != run_id:
            raise ConfigValidationError(f"run_id is {run_id!r}, the build's is {required_build.run_id!r}")
        columns = columns_of(required_build, shards, custom, nul_in_text=False)
        names = [column.name for column in BUILD_COLUMNS]
        updates = ", ".join(f"{name} = EXCLUDED.{name}" for name in names[1:])
        shard_names = ["run_id", *(column.name for column in SHARD_COLUMNS)]
        with self._transaction() as cursor:
            self._run(cursor, f"INSERT INTO {{builds}} ({', '.join(names)}) VALUES ({_places(names)}) "
                      f"ON CONFLICT (run_id) DO UPDATE SET {updates}", columns.build)
            self._run(cursor, "DELETE FROM {shards} WHERE run_id = %s", (run_id,))
            for row in columns.shards:
                self._run(cursor, f"INSERT INTO {{shards}} ({', '.join(shard_names)}) VALUES ({_places(shard_names)})", (run_id, *row))
            self._point_to(cursor, run_id)
        return run_id

    def load_current(self) -> ManifestRef | None:
        """What the pointer names, or the newest snapshot where the pointer was never set."""
        with self._transaction() as cursor:
            self._run(cursor, "SELECT manifest_ref, updated_at FROM {pointer} ORDER BY seq DESC LIMIT 1")
            row = cursor.fetchone()
        if row is None:
            return next(iter(self.list_manifests(limit=1)), None)
        return ManifestRef(row[0], row[0], _utc(row[1]))

    def load_manifest(self, ref: str) -> ParsedManifest:
        with self._transaction() as cursor:
            # Both tables as they are at one moment: the run may be published again meanwhile.
            self._run(cursor, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            builds = self._select(cursor, "builds", [column.name for column in BUILD_COLUMNS], "WHERE run_id = %s", (ref,))
            shards = self._select(cursor, "shards", [column.name for column in SHARD_COLUMNS], "WHERE run_id = %s ORDER BY db_id", (ref,))
        if not builds:
            raise ReaderStateError(f"there is no manifest of run {ref!r}; list_manifests() names those that are there")
        return manifest_of({**builds[0], "created_at": moment_text(builds[0]["created_at"])}, shards)

    def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        with self._transaction() as cursor:
            self._run(cursor, "SELECT run_id, created_at FROM {builds} ORDER BY created_at DESC, run_id DESC LIMIT %s", (max(limit, 0),))
            return [ManifestRef(run_id, run_id, _utc(created_at)) for run_id, created_at in cursor.fetchall()]

    def set_current(self, ref: str) -> None:
        with self._transaction() as cursor:
            self._point_to(cursor, ref)

    def _point_to(self, cursor: Any, ref: str) -> None:
        # The time is the statement's: NOW() is the transaction's start, by which an older release would order pointers.
        self._run(cursor, "INSERT INTO {pointer} (updated_at, manifest_ref) VALUES (clock_timestamp(), %s)", (ref,))

    def _select(self, cursor: Any, table: str, names: list[str], rest: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
        """Rows by column; JSON as its text, because drivers differ in what they make of it."""
        selected = ", ".join(f"{name}::text" if name in _JSON_COLUMNS else name for name in names)
        self._run(cursor, f"SELECT {selected} FROM {{{table}}} {rest}", values)
        return [dict(zip(names, row)) for row in cursor.fetchall()]

    def _run(self, cursor: Any, statement: str, values: tuple[Any, ...] = ()) -> None:
        cursor.execute(statement.format(**self._names), values)

    def _ensure_tables(self, connection: Any) -> None:
        cursor = connection.cursor()
        if not self._all_there(cursor):
            # Two programs that make the same tables at once would collide; the lock ends with the transaction.
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (0x73686172647966,))
            for statement in _SCHEMA:
                self._run(cursor, statement)
        cursor.close()
        connection.commit()
        self._tables_are_there = True

    def _all_there(self, cursor: Any) -> bool:
        """Asked first, because changing a table waits for everyone who uses it."""
        cursor.execute("SELECT count(*) FROM pg_attribute WHERE NOT attisdropped AND ((attrelid = to_regclass(%s) AND attname = "
                       "'format_version') OR (attrelid = to_regclass(%s) AND attname = 'seq'))",
                       (self._names["builds"], self._names["pointer"]))
        return bool(cursor.fetchone()[0] == 2)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """A cursor; its statements become visible together, or none of them does."""
        try:
            connection = self._connection_factory()
            try:
                if getattr(connection, "autocommit", False):
                    connection.autocommit = False
                if not self._tables_are_there:
                    self._ensure_tables(connection)
                cursor = connection.cursor()
                yield cursor
                cursor.close()
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            finally:
                connection.close()
        except ShardyfusionError:
            raise
        except Exception as error:
            raise ManifestStoreError(f"PostgreSQL table {self._names['builds']}: {error}") from error


def _places(names: list[str]) -> str:
    return ", ".join("%s::jsonb" if name in _JSON_COLUMNS else "%s" for name in names)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc)
