"""Runs in the peers' environment: one call on one table by another engine; prints the answer as one JSON line.

    python peer.py ENGINE CALL TABLE [ARGUMENT]

Values are printed in one spelling for all engines (see `plain`), rows sorted by column `id`. TABLE may be an s3:// URI; the bucket
is then reached by the DATASHARD_S3_… variables, and by DuckDB with the statement in DATASHARD_DUCKDB_SECRET.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import os
import sys
import uuid
from pathlib import Path


def plain(value):
    """A JSON value that is the same whatever class an engine gave for it."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return "nan" if math.isnan(value) else value
    if isinstance(value, decimal.Decimal):
        return f"decimal {value}"
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            return "instant " + value.astimezone(datetime.timezone.utc).isoformat()
        return "naive " + value.isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return f"{type(value).__name__} {value.isoformat()}"
    if isinstance(value, uuid.UUID):
        return f"uuid {value}"
    if isinstance(value, (bytes, bytearray)):
        return "bytes " + bytes(value).hex()
    raise TypeError(f"no spelling for {type(value)}")


def rows_of(table) -> list[dict]:
    """Rows of a pyarrow table, sorted by id."""
    return [{k: plain(v) for k, v in row.items()} for row in sorted(table.to_pylist(), key=lambda row: row["id"])]


class Released:
    """datashard 0.11.2"""

    def __init__(self, path: str):
        import datashard

        self.module = datashard
        self.path = path

    def read(self, snapshot_id=None):
        table = self.module.load_table(self.path)
        return rows_of(table.to_arrow(snapshot_id=int(snapshot_id) if snapshot_id else None))

    def count(self):
        return self.module.load_table(self.path).row_count()

    def verify(self):
        return self.module.load_table(self.path).verify()

    def snapshots(self):
        return [s["snapshot_id"] for s in self.module.load_table(self.path).snapshots()]

    def append(self, records: str):
        return self.module.load_table(self.path).append_records(json.loads(records))

    def create(self, fields: str):
        self.module.create_table(self.path, self.module.Schema(schema_id=1, fields=json.loads(fields)))

    def create_schemaless(self):
        self.module.create_table(self.path)


class Ids:
    """read_ids for an engine with `_ids(snapshot_id)`."""

    @classmethod
    def watch(cls, path: str, count: str):
        """Opens and reads the table `count` times: a line of ids for each."""
        for _ in range(int(count)):
            ids = cls(path).read_ids()
            print(json.dumps(ids), flush=True)

    def read_ids(self, snapshot_id=None):
        return sorted(self._ids(int(snapshot_id) if snapshot_id else None))

    def read_ids_of(self, *snapshot_ids):
        return [self.read_ids(snapshot_id) for snapshot_id in snapshot_ids]


def bucket_properties() -> dict[str, str]:
    """The variables of a bucket, as PyIceberg spells them; none without them."""
    names = {"s3.endpoint": "ENDPOINT", "s3.access-key-id": "ACCESS_KEY", "s3.secret-access-key": "SECRET_KEY", "s3.region": "REGION"}
    return {name: os.environ[f"DATASHARD_S3_{ours}"] for name, ours in names.items() if f"DATASHARD_S3_{ours}" in os.environ}


def bucket_options() -> dict[str, str]:
    """The same for Polars' own readers."""
    return {"aws_" + name.removeprefix("s3.").replace("-", "_").replace("endpoint", "endpoint_url"): value
            for name, value in bucket_properties().items()} | {"aws_allow_http": "true"}


def opened(path: str):
    from pyiceberg.table import StaticTable

    return StaticTable.from_metadata(path, bucket_properties())


class PyIceberg(Ids):
    def __init__(self, path: str):
        self.table = opened(path)

    def _ids(self, snapshot_id):
        return self.table.scan(snapshot_id=snapshot_id, selected_fields=("id",)).to_arrow()["id"].to_pylist()

    def read(self, snapshot_id=None):
        return rows_of(self.table.scan(snapshot_id=int(snapshot_id) if snapshot_id else None).to_arrow())

    def filtered(self, row_filter: str):
        return rows_of(self.table.scan(row_filter=row_filter).to_arrow())

    def snapshots(self):
        return [s.snapshot_id for s in self.table.metadata.snapshots]


class Polars(Ids):
    """Is given the metadata file that the hint names, or in a bucket what PyIceberg opened."""

    def __init__(self, path: str):
        self.path = path
        if path.startswith("s3://"):
            self.source = opened(path)
        else:
            self.source = path if path.endswith(".json") else hinted(path)

    def _ids(self, snapshot_id):
        return self._scan(snapshot_id).select("id").collect()["id"].to_list()

    def _scan(self, snapshot_id=None):
        import polars

        options = bucket_options() if self.path.startswith("s3://") else None
        return polars.scan_iceberg(self.source, snapshot_id=snapshot_id, storage_options=options)

    def read(self):
        return rows_of(self._scan().collect().to_arrow())

    def read_files(self, *paths: str):
        import polars

        return rows_of(polars.scan_parquet(list(paths), storage_options=bucket_options()).collect().to_arrow())


def hinted(path: str) -> str:
    number = Path(path, "metadata/version-hint.text").read_text()
    return str(Path(path, f"metadata/v{number}.metadata.json"))


class DuckDB(Ids):
    def __init__(self, path: str):
        import duckdb

        self.path = path
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone='UTC'")
        self._load("avro", "iceberg")
        if path.startswith("s3://"):
            self._load("httpfs")
            self.connection.execute(os.environ["DATASHARD_DUCKDB_SECRET"])

    def _load(self, *extensions: str):
        """Extensions from packages; by itself DuckDB would download them."""
        from duckdb_extensions import import_extension

        for extension in extensions:
            __import__(f"duckdb_extension_{extension}")
            import_extension(extension, con=self.connection)
            self.connection.execute(f"LOAD {extension}")

    def _scan(self, rest: str, *parameters):
        result = self.connection.execute(f"SELECT * FROM {rest} ORDER BY id", parameters)
        names = [column[0] for column in result.description]
        return [dict(zip(names, map(plain, row))) for row in result.fetchall()]

    def read(self, snapshot_id=None):
        at = f", snapshot_from_id={int(snapshot_id)}" if snapshot_id else ""
        return self._scan(f"iceberg_scan('{self.path}'{at})")

    def filtered(self, row_filter: str):
        return self._scan(f"iceberg_scan('{self.path}') WHERE {row_filter}")

    def read_files(self, *paths: str):
        return self._scan("read_parquet(?)", list(paths))

    def secrets(self):
        return [row[0] for row in self.connection.execute("SELECT name FROM duckdb_secrets()").fetchall()]

    def _ids(self, snapshot_id):
        import duckdb

        at = f", snapshot_from_id={snapshot_id}" if snapshot_id else ""
        for attempts_left in reversed(range(20)):
            try:
                return [row[0] for row in self.connection.execute(f"SELECT id FROM iceberg_scan('{self.path}'{at})").fetchall()]
            except duckdb.HTTPException as error:
                # In a bucket it asks twice for the hint, and refuses one that was moved in between.
                if "version-hint.text" not in str(error) or not attempts_left:
                    raise

    def count(self):
        return self.connection.execute(f"SELECT count(*) FROM iceberg_scan('{self.path}')").fetchone()[0]

    def snapshots(self):
        return [row[0] for row in self.connection.execute(
            f"SELECT snapshot_id FROM iceberg_snapshots('{self.path}')").fetchall()]


ENGINES = {"released": Released, "pyiceberg": PyIceberg, "duckdb": DuckDB, "polars": Polars}

if __name__ == "__main__":
    engine, call, path, *arguments = sys.argv[1:]
    if call == "watch":
        ENGINES[engine].watch(path, *arguments)
    else:
        print(json.dumps(getattr(ENGINES[engine](path), call)(*arguments)))
