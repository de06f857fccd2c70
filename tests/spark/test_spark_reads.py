"""Spark reads what we write: every type it knows, several snapshots in one version, and a table with archived history."""

from __future__ import annotations

import concurrent.futures
import json

import datashard
import pytest
from beside import SparkRefused, new_table
from peer import plain
from test_other_engines import ALL_TYPES, ROWS, schema_of

# Spark has no time of day.
TYPES = [(name, kind) for name, kind in ALL_TYPES if kind != "time"]


def test_spark_reads_and_appends_to_a_table_of_ours(spark):
    """The short one: also part of `make test` where Spark is installed."""
    table, path = new_table(spark, "short")
    with table.new_transaction() as tx:
        tx.append_records([{"id": 1, "who": "ours"}])
        tx.append_records([{"id": 2}])
    first = table.current_snapshot().snapshot_id
    spark("INSERT INTO ours.db.short VALUES (3, 'spark')")
    table.append_records([{"id": 4, "who": "ours"}])
    assert spark("SELECT * FROM ours.db.short ORDER BY id") == [
        {"id": 1, "who": "ours"}, {"id": 2, "who": None}, {"id": 3, "who": "spark"}, {"id": 4, "who": "ours"}]
    assert spark(f"SELECT id FROM ours.db.short VERSION AS OF {first} ORDER BY id") == [{"id": 1}, {"id": 2}]
    assert sorted(row["id"] for row in datashard.load_table(str(path)).scan()) == [1, 2, 3, 4]


@pytest.mark.long
def test_every_primitive_type_but_time(spark):
    path = spark.warehouse / "db" / "typed"
    path.parent.mkdir(exist_ok=True)
    table = datashard.create_table(str(path), schema_of(TYPES))
    for row in ROWS:
        table.append_records([{name: value for name, value in row.items() if name != "clock"}])
    rows = spark("SELECT * FROM ours.db.typed ORDER BY id")
    for row, ours in zip(rows, ROWS, strict=True):
        want = {name: plain(ours.get(name)) for name, _ in TYPES}
        want["key"] = None if want["key"] is None else want["key"].removeprefix("uuid ")  # a string in Spark
        # The session's zone is UTC; pyspark gives instants without a zone in the zone of the machine.
        for instant in ("instant",):
            del row[instant], want[instant]
        assert row == want
    instants = spark("SELECT id, date_format(instant, 'yyyy-MM-dd HH:mm:ss.SSSSSS') AS at FROM ours.db.typed ORDER BY id")
    assert [row["at"] for row in instants] == ["2013-01-01 05:00:00.000000", None, "1969-12-31 23:59:59.999999"]
    for condition, ids in [("price < 0", [1]), ("day > DATE '2000-01-01'", [3]), ("isnan(single)", [3]), ("text IS NULL", [2]),
                           ("small = 2147483647", [3]), ("tag = X'61626364'", [1])]:
        assert [row["id"] for row in spark(f"SELECT id FROM ours.db.typed WHERE {condition} ORDER BY id")] == ids, condition


@pytest.mark.long
def test_a_column_of_time_is_refused_by_spark_in_words(spark):
    path = spark.warehouse / "db" / "clock"
    path.parent.mkdir(exist_ok=True)
    datashard.create_table(str(path), schema_of([("id", "long"), ("clock", "time")]))
    with pytest.raises(SparkRefused, match="does not support time fields"):
        spark("SELECT id FROM ours.db.clock")


@pytest.mark.long
def test_a_version_that_adds_several_snapshots(spark):
    table, path = new_table(spark, "several")

    def transact(number: int) -> None:
        with table.new_transaction() as tx:
            tx.append_records([{"id": 2 * number}])
            tx.append_records([{"id": 2 * number + 1}])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(transact, range(60)))
    versions = [json.loads(path.joinpath("metadata", f"v{number}.metadata.json").read_text())
                for number in range(1, int((path / "metadata/version-hint.text").read_text()) + 1)]
    sizes = [len(version.get("snapshots", [])) for version in versions]
    several = next(n for n in range(1, len(sizes)) if sizes[n] - sizes[n - 1] >= 2)
    for count, snapshot in enumerate(versions[several]["snapshots"], start=1):
        rows = spark(f"SELECT count(*) AS n, count(DISTINCT id) AS d FROM ours.db.several VERSION AS OF {snapshot['snapshot-id']}")
        assert rows == [{"n": 2 * count, "d": 2 * count}]
    assert [row["id"] for row in spark("SELECT id FROM ours.db.several ORDER BY id")] == list(range(120))


@pytest.mark.long
def test_an_archived_table_shows_spark_the_window(spark):
    table, _ = new_table(spark, "window")
    for number in range(300):
        table.append_records([{"id": number}])
    mine = [snapshot["snapshot_id"] for snapshot in table.snapshots()]
    window = [row["snapshot_id"] for row in spark("SELECT snapshot_id FROM ours.db.window.snapshots ORDER BY committed_at")]
    assert 100 <= len(window) < 300 and sorted(window) == sorted(mine[-len(window):])
    for number in (300 - len(window), 298):
        rows = spark(f"SELECT id FROM ours.db.window VERSION AS OF {mine[number]} ORDER BY id")
        assert [row["id"] for row in rows] == list(range(number + 1))
    assert [row["id"] for row in spark("SELECT id FROM ours.db.window WHERE id >= 250 AND id < 260 ORDER BY id")] == list(range(250, 260))
    with pytest.raises(SparkRefused, match="Cannot find snapshot with ID"):
        spark(f"SELECT id FROM ours.db.window VERSION AS OF {mine[0]}")
    assert table.scan(snapshot_id=mine[0]) == [{"id": 0, "who": None}]
