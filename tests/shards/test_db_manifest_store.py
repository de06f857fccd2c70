"""Manifests in a real PostgreSQL: what is particular to it. The contract of all stores is in test_manifest_store.py."""

from __future__ import annotations

import itertools
import threading

import psycopg
import pytest
from snapshot_values import CREATED, build_meta, shard_meta

from shardyfusion import ConfigValidationError, ManifestParseError, ManifestStoreError, ReaderStateError
from shardyfusion.db_manifest_store import PostgresManifestStore

names = map("t{}".format, itertools.count())


@pytest.fixture
def name():
    return next(names)


def store_of(postgres, name, **more):
    return PostgresManifestStore(postgres.connect, table_name=name, pointer_table_name=f"{name}_pointer", **more)


def publish(store, run_id, **build):
    return store.publish(run_id=run_id, required_build=build_meta(run_id, **build), shards=[shard_meta(0, run_id)], custom={})


def rows(postgres, statement, *values):
    with postgres.connect() as con:
        return con.execute(statement, values).fetchall()


def test_the_tables_are_those_of_the_page(postgres, name):
    publish(store_of(postgres, name), "r")
    columns = rows(postgres, "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name LIKE %s "
                   "ORDER BY table_name, ordinal_position", f"{name}\\_%")
    assert columns == [(f"{name}_{table}", column, kind) for table, column, kind in [
        *(("builds", *pair) for pair in [
            ("run_id", "text"), ("created_at", "timestamp with time zone"), ("num_dbs", "integer"), ("s3_prefix", "text"), ("key_col", "text"),
            ("db_path_template", "text"), ("shard_prefix", "text"), ("key_encoding", "text"), ("sharding", "jsonb"), ("custom", "jsonb"),
            ("format_version", "integer")]),
        ("pointer", "updated_at", "timestamp with time zone"), ("pointer", "manifest_ref", "text"), ("pointer", "seq", "bigint"),
        *(("shards", *pair) for pair in [
            ("run_id", "text"), ("db_id", "integer"), ("db_url", "text"), ("attempt", "integer"), ("row_count", "bigint"), ("db_bytes", "bigint"),
            ("checkpoint_id", "text"), ("min_key", "jsonb"), ("max_key", "jsonb"), ("writer_info", "jsonb")])]]
    assert rows(postgres, f"SELECT run_id, format_version, created_at = %s FROM {name}_builds", CREATED) == [("r", 4, True)]


OLDER = """
CREATE TABLE {0}_builds (run_id TEXT PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), num_dbs INTEGER NOT NULL,
  s3_prefix TEXT NOT NULL, key_col TEXT NOT NULL DEFAULT '_key', db_path_template TEXT NOT NULL DEFAULT 'db={{db_id:05d}}',
  shard_prefix TEXT NOT NULL DEFAULT 'shards', key_encoding TEXT NOT NULL DEFAULT 'u64be', sharding JSONB NOT NULL,
  custom JSONB NOT NULL DEFAULT '{{}}');
CREATE TABLE {0}_shards (run_id TEXT NOT NULL REFERENCES {0}_builds(run_id), db_id INTEGER NOT NULL, db_url TEXT, attempt INTEGER NOT NULL,
  row_count INTEGER NOT NULL, db_bytes BIGINT NOT NULL, checkpoint_id TEXT, min_key JSONB, max_key JSONB, writer_info JSONB NOT NULL,
  PRIMARY KEY (run_id, db_id));
CREATE TABLE {0}_pointer (updated_at TIMESTAMPTZ NOT NULL DEFAULT NOW(), manifest_ref TEXT NOT NULL);
INSERT INTO {0}_builds (run_id, num_dbs, s3_prefix, sharding) VALUES ('old', 2, 's3://b/p', '{{"strategy": "hash",
  "hash_algorithm": "xxh3_64", "routing_values": null, "cel_expr": null, "cel_columns": null}}');
INSERT INTO {0}_shards VALUES ('old', 1, 's3://b/x', 0, 5, 4096, 'c', '4', '"a"', '{{"attempt": 0, "duration_ms": 7}}');
INSERT INTO {0}_pointer (manifest_ref) VALUES ('old');
"""


def test_tables_of_an_earlier_release_are_read_and_completed_while_it_still_writes(postgres, name):
    with postgres.connect() as con:
        con.execute(OLDER.format(name))
    store = store_of(postgres, name)
    assert store.load_current().ref == "old"
    shard = store.load_manifest("old").shards[0]
    assert (shard.db_id, shard.min_key, shard.max_key, shard.writer_info.duration_ms) == (1, 4, "a", 7)
    publish(store, "new")
    with postgres.connect() as con:
        con.execute(f"INSERT INTO {name}_pointer (updated_at, manifest_ref) VALUES (NOW() - interval '1 day', 'old')")
    assert store.load_current().ref == "old"  # the last to be written, whatever its clock says


def test_the_pointer_follows_the_order_of_writing_not_the_clock(postgres, name):
    store = store_of(postgres, name)
    publish(store, "a")
    publish(store, "b")
    with postgres.connect() as con:
        con.execute(f"UPDATE {name}_pointer SET updated_at = NOW() + interval '1 year' WHERE manifest_ref = 'a'")
    assert store.load_current().ref == "b"


def test_without_a_pointer_the_newest_snapshot_is_current(postgres, name):
    store = store_of(postgres, name)
    publish(store, "later", created_at=CREATED.replace(year=2027))
    publish(store, "earlier")
    with postgres.connect() as con:
        con.execute(f"DELETE FROM {name}_pointer")
    assert store.load_current().run_id == "later" and store.load_current().published_at == CREATED.replace(year=2027)


def test_a_run_that_is_published_again_replaces_its_shards(postgres, name):
    store = store_of(postgres, name)
    publish(store, "r")
    store.publish(run_id="r", required_build=build_meta("r", num_dbs=3), shards=[shard_meta(1, "r"), shard_meta(2, "r")], custom={"a": 1})
    parsed = store.load_manifest("r")
    assert ([shard.db_id for shard in parsed.shards], parsed.required_build.num_dbs, parsed.custom) == ([1, 2], 3, {"a": 1})


@pytest.mark.parametrize("autocommit", [False, True])
def test_a_publish_that_fails_half_way_changes_nothing(postgres, name, autocommit):
    store = PostgresManifestStore(lambda: psycopg.connect(postgres.dsn, autocommit=autocommit), table_name=name,
                                  pointer_table_name=f"{name}_pointer")
    publish(store, "good")
    with postgres.connect() as con:
        con.execute(f"ALTER TABLE {name}_shards ADD CONSTRAINT small CHECK (db_bytes < 10000)")
    with pytest.raises(ManifestStoreError, match="small") as failed:
        store.publish(run_id="bad", required_build=build_meta("bad"), shards=[shard_meta(0), shard_meta(1, db_bytes=10000)], custom={})
    assert failed.value.retryable
    assert (store.load_current().ref, [ref.ref for ref in store.list_manifests()]) == ("good", ["good"])
    with pytest.raises(ReaderStateError, match="'bad'"):
        store.load_manifest("bad")


def test_a_run_published_again_and_again_is_never_seen_mixed(postgres, name):
    store = store_of(postgres, name)

    def publish_with(num_dbs):
        store.publish(run_id="r", required_build=build_meta("r", num_dbs=num_dbs), custom={},
                      shards=[shard_meta(db_id, "r") for db_id in range(num_dbs)])

    publish_with(1)
    done = threading.Event()
    seen = set()

    def look():
        while not done.is_set():
            parsed = store.load_manifest("r")
            seen.add((parsed.required_build.num_dbs, len(parsed.shards)))

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(60):
        publish_with(number % 3 + 1)
    done.set()
    reader.join()
    assert seen <= {(1, 1), (2, 2), (3, 3)} and len(seen) > 1


def test_a_format_of_a_later_release_is_refused(postgres, name):
    store = store_of(postgres, name)
    publish(store, "r")
    with postgres.connect() as con:
        con.execute(f"UPDATE {name}_builds SET format_version = 5")
    with pytest.raises(ManifestParseError, match="format_version 5"):
        store.load_manifest("r")


def test_programs_that_begin_at_once_make_the_tables_once(postgres, name):
    failures = []

    def run(number):
        try:
            publish(store_of(postgres, name), f"r{number}")
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and len(store_of(postgres, name).list_manifests()) == 8


def test_tables_are_not_made_where_that_is_not_wanted(postgres, name):
    with pytest.raises(ManifestStoreError, match=f"{name}_pointer"):
        store_of(postgres, name, ensure_table=False).load_current()


def test_a_server_that_is_away_is_a_store_error_that_may_pass(tmp_path):
    store = PostgresManifestStore(lambda: psycopg.connect(f"host={tmp_path} user=x connect_timeout=1"))
    with pytest.raises(ManifestStoreError) as failed:
        store.load_current()
    assert failed.value.retryable


def test_connections_are_closed_after_every_call(postgres, name):
    made = []

    def connect():
        made.append(postgres.connect())
        return made[-1]

    store = PostgresManifestStore(connect, table_name=name, pointer_table_name=f"{name}_pointer")
    publish(store, "r")
    with pytest.raises(ReaderStateError):
        store.load_manifest("unknown")
    assert len(made) == 2 and all(con.closed for con in made)


@pytest.mark.parametrize("wrong", ["", "a b", "a;drop", "a.b.c", '"a"', "1a", "a" * 60])
def test_names_of_tables_are_plain(wrong):
    for where in ("table_name", "pointer_table_name"):
        with pytest.raises(ConfigValidationError, match="table's name"):
            PostgresManifestStore(lambda: None, **{where: wrong})


def test_tables_may_lie_in_a_schema(postgres, name):
    with postgres.connect() as con:
        con.execute(f"CREATE SCHEMA {name}")
    store = PostgresManifestStore(postgres.connect, table_name=f"{name}.m", pointer_table_name=f"{name}.p")
    assert publish(store, "r") == "r" == store.load_current().run_id


def test_the_build_and_the_call_name_the_same_run(postgres, name):
    with pytest.raises(ConfigValidationError, match="'other'"):
        store_of(postgres, name).publish(run_id="other", required_build=build_meta("r"), shards=[], custom={})
