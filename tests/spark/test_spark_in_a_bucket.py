"""Spark opens the s3:// metadata of a table of ours in a bucket, and reads the same rows while others append and after."""

from __future__ import annotations

import threading

import pytest
import s3_server
from beside import SCHEMA, Spark, installed_jar

import datashard

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server():
    with s3_server.running(s3_server.Options(keep_alive=True)) as running:
        yield running


@pytest.fixture(scope="module")
def spark(server, tmp_path_factory):
    """A Spark with a catalog `bucket`: a database of names in a file, and Iceberg's own client for what they lead to."""
    jars = [installed_jar(name) for name in ("iceberg-spark-runtime", "iceberg-aws-bundle", "sqlite-jdbc")]
    assert all(jars), "Spark or its jars are not there: run `make spark`"
    place = tmp_path_factory.mktemp("spark")
    (place / "warehouse").mkdir()
    catalog = {
        "": "org.apache.iceberg.spark.SparkCatalog", ".type": "jdbc", ".uri": f"jdbc:sqlite:{place}/names.db",
        ".warehouse": f"s3://{server.bucket}/unused", ".io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
        ".s3.endpoint": server.endpoint, ".s3.path-style-access": "true", ".s3.access-key-id": server.access_key,
        ".s3.secret-access-key": server.secret_key, ".client.region": s3_server.REGION,
    }
    settings = {f"spark.sql.catalog.bucket{name}": value for name, value in catalog.items()}
    spark = Spark(place / "warehouse", place / "spark.log", settings={**settings, "spark.jars": ",".join(map(str, jars))})
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
