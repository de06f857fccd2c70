"""Other engines open the s3:// metadata and the Parquet files of our tables in a bucket, and read the same rows."""

from __future__ import annotations

import pytest
import s3_places
import s3_users
from test_other_engines import ALL_TYPES, ROWS, expected, schema_of
from test_reading_during_appends import ENGINES, SCHEMA, expect_whole_transactions

import datashard

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(server, monkeypatch, request):
    """A prefix of its own in the server's bucket, for us and for the peers."""
    return s3_places.use(server, monkeypatch, request)


@pytest.fixture
def make(bucket, monkeypatch):
    """make(name, schema): a table in the bucket, which DuckDB is given the secret of."""
    def create(name: str, schema: datashard.Schema) -> datashard.Table:
        table = datashard.create_table(name, schema)
        monkeypatch.setenv("DATASHARD_DUCKDB_SECRET", table.duckdb_s3_secret_sql())
        return table

    return create


@pytest.mark.parametrize("engine", ENGINES)
def test_rows_of_the_newest_metadata_file(ask, make, engine):
    table = make("t", schema_of([("id", "long"), ("text", "string")]))
    for number in range(3):
        table.append_records([{"id": number, "text": f"größe {number}" if number else None}])
        assert table.metadata_location.startswith("s3://")
        assert ask(engine, "read", table.metadata_location) == table.scan()
    first = table.snapshots()[0]["snapshot_id"]
    assert ask(engine, "read_ids", table.metadata_location, first) == [0]


@pytest.mark.parametrize("engine", ["pyiceberg", "duckdb"])
def test_every_primitive_type_and_null(ask, make, engine):
    table = make("typed", schema_of(ALL_TYPES))
    table.append_records(ROWS)
    rows, want = ask(engine, "read", table.metadata_location), expected(ROWS)
    for row in (*rows, *want):
        row["key"] = row["key"] and row["key"].split()[-1].replace("-", "")
    assert rows == want
    assert [row["id"] for row in ask(engine, "filtered", table.metadata_location, "id >= 2 AND id < 3")] == [2]


@pytest.mark.parametrize("engine", ["duckdb", "polars"])
def test_parquet_files_by_their_uris(ask, make, engine):
    table = make("files", schema_of([("id", "long"), ("text", "string")]))
    for number in range(3):
        table.append_records([{"id": number, "text": "x"}])
    paths = table.parquet_paths()
    assert len(paths) == 3 and all(path.startswith("s3://") for path in paths)
    assert ask(engine, "read_files", table.location, *paths) == table.scan()
    first = table.parquet_paths(snapshot_id=table.snapshots()[0]["snapshot_id"])
    assert ask(engine, "read_files", table.location, *first) == [{"id": 0, "text": "x"}]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reader_beside_writers_sees_whole_transactions_in_order(ask_all, make, engine):
    expect_whole_transactions(ask_all, engine, make("busy", SCHEMA))


@pytest.mark.parametrize("name", ["datashard_s3", 'it\'s "mine"; --'])
def test_keys_with_quotes_reach_duckdb_and_nothing_else(ask, make, server, monkeypatch, capfd, name):
    user = s3_users.add(server, f"o'brien{len(name)}", "it's'); DROP TABLE t; -- \"")
    s3_users.allow(server, user, [{"Effect": "Allow", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{server.bucket}",
                                                                                    f"arn:aws:s3:::{server.bucket}/*"]}])
    for variable, value in user.variables.items():
        monkeypatch.setenv(variable, value)
    table = make("t", SCHEMA)
    table.append_records([{"id": 1}])
    monkeypatch.setenv("DATASHARD_DUCKDB_SECRET", table.duckdb_s3_secret_sql(name))
    assert ask("duckdb", "read_files", table.location, *table.parquet_paths()) == [{"id": 1}]
    assert ask("duckdb", "secrets", table.location) == [name.lower()]
    for told in (repr(table), str(table.metrics()), table.location, str(table.properties()), "".join(capfd.readouterr())):
        assert "DROP" not in told and "brien" not in told
