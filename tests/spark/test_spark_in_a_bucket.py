"""Spark opens the s3:// metadata of our tables in a bucket, by Iceberg's own S3 client, and reads the same rows meanwhile and after."""

from __future__ import annotations

import threading

import pytest
import s3_server
from beside import SCHEMA, Spark, iceberg_jar

import datashard

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server():
    with s3_server.running(s3_server.Options(keep_alive=True)) as running:
        yield running


@pytest.fixture(scope="module")
def spark(server, tmp_path_factory):
    """A Spark whose catalog `bucket` keeps nothing but the names that were registered with it."""
    assert iceberg_jar("iceberg-aws-bundle") is not None, "Iceberg's AWS bundle is not there: run `make spark`"
    catalog = {
        "": "org.apache.iceberg.spark.SparkCatalog", ".catalog-impl": "org.apache.iceberg.inmemory.InMemoryCatalog",
        ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO", ".s3.endpoint": server.endpoint, ".s3.path-style-access": "true",
        ".s3.access-key-id": server.access_key, ".s3.secret-access-key": server.secret_key, ".client.region": s3_server.REGION,
    }
    settings = {f"spark.sql.catalog.bucket{name}": value for name, value in catalog.items()}
    settings["spark.jars"] = f"{iceberg_jar()},{iceberg_jar('iceberg-aws-bundle')}"
    place = tmp_path_factory.mktemp("spark")
    (place / "warehouse").mkdir()
    spark = Spark(place / "warehouse", place / "spark.log", settings=settings)
    spark("CREATE NAMESPACE bucket.db")
    yield spark
    spark.close()


def ids(spark, name: str, table: datashard.Table) -> list[int]:
    """Of the newest metadata file, which Spark is to know by `name`."""
    spark(f"CALL bucket.system.register_table(table => 'db.{name}', metadata_file => '{table.metadata_location}')")
    return [row["id"] for row in spark(f"SELECT id FROM bucket.db.{name} ORDER BY id")]


def test_spark_reads_what_is_there_while_others_append_and_after(spark, server, monkeypatch):
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    table = datashard.create_table("t", SCHEMA)
    table.append_records([{"id": 0, "who": "ours"}])
    stop = threading.Event()
    written = [0]

    def write() -> None:
        while not stop.wait(0.1):
            written[0] += 1
            table.append_records([{"id": written[0]}])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reads = [ids(spark, f"during{number}", table) for number in range(4)]
    finally:
        stop.set()
        writer.join()
    assert all(read == list(range(len(read))) for read in reads), "a state that never was"
    assert len(reads[0]) < len(reads[-1]), "nothing was written meanwhile"
    assert ids(spark, "after", table) == list(range(written[0] + 1))
    assert spark("SELECT who FROM bucket.db.after WHERE id < 2 ORDER BY id") == [{"who": "ours"}, {"who": None}]
