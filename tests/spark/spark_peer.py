"""Runs in Spark's environment: answers SQL, one statement a line of JSON, with one line of JSON.

    python spark_peer.py JAR WAREHOUSE SETTINGS

The catalog `ours` is a Hadoop catalog on WAREHOUSE. SETTINGS is a JSON object of further settings of Spark. Answers: "ready" once, then {"rows": […]} or {"error": text}; values are
spelled as tests/interop/peer.py does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.errors import PySparkException
from py4j.protocol import Py4JError
from pyspark.sql import SparkSession

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "interop"))
from peer import plain  # noqa: E402

ICEBERG = "org.apache.iceberg.spark"


def session(jar: str, warehouse: str, further: str) -> SparkSession:
    settings = {
        "spark.jars": jar,
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": f"{ICEBERG}.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.ours": f"{ICEBERG}.SparkCatalog",
        "spark.sql.catalog.ours.type": "hadoop",
        "spark.sql.catalog.ours.warehouse": f"file://{warehouse}",
        "spark.sql.catalog.ours.cache-enabled": "false",
        **json.loads(further),
    }
    builder = SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def answer(spark: SparkSession, statement: str) -> dict:
    try:
        return {"rows": [{name: plain(value) for name, value in row.asDict().items()} for row in spark.sql(statement).collect()]}
    except (PySparkException, Py4JError) as error:
        return {"error": f"{error}\n{getattr(error, 'java_exception', '')}"}


if __name__ == "__main__":
    spark = session(*sys.argv[1:])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(spark, json.loads(line))), flush=True)
