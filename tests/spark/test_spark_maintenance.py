"""Spark's maintenance procedures on a table of ours: they refuse in words, or leave every snapshot of ours readable."""

from __future__ import annotations

import os
import time

import datashard
import pytest
from beside import SparkRefused, expect_every_row_once, new_table

pytestmark = pytest.mark.long


def grown(spark, name: str, snapshots: int) -> tuple[datashard.Table, object]:
    table, path = new_table(spark, name)
    for number in range(snapshots):
        table.append_records([{"id": number}])
    return table, path


def expect_all_snapshots(table: datashard.Table, snapshots: list[dict]) -> None:
    """Snapshot number n, archived or not, has the rows 0 … n, by id and by time."""
    table = datashard.load_table(table.table_path)
    listed = [snapshot["snapshot_id"] for snapshot in table.snapshots()]
    assert listed[:len(snapshots)] == [snapshot["snapshot_id"] for snapshot in snapshots]
    for number in [*range(0, len(snapshots), 37), len(snapshots) - 1]:
        snapshot = snapshots[number]
        rows = table.scan(columns=["id"], snapshot_id=snapshot["snapshot_id"])
        assert sorted(row["id"] for row in rows) == list(range(number + 1))
        assert table.time_travel(timestamp=snapshot["timestamp_ms"]) is not None


def procedure(spark, name: str, table: str, **arguments: str) -> list[dict]:
    rest = "".join(f", {key} => {value}" for key, value in arguments.items())
    return spark(f"CALL ours.system.{name}(table => 'db.{table}'{rest})")


@pytest.mark.parametrize(("name", "arguments", "says"), [
    ("expire_snapshots", {"older_than": "TIMESTAMP '2100-01-01 00:00:00'", "retain_last": "1"},
     "Cannot expire snapshots: GC is disabled"),
    ("remove_orphan_files", {"older_than": "TIMESTAMP '2020-01-01 00:00:00'"}, "Cannot delete orphan files: GC is disabled"),
])
def test_what_would_delete_archived_files_is_refused(spark, name, arguments, says):
    table, path = grown(spark, f"refuses_{name}", 300)
    before = table.snapshots()
    assert table.properties()["gc.enabled"] == "false"
    files = sorted(file for _, _, names in os.walk(path) for file in names)
    with pytest.raises(SparkRefused, match=says):
        procedure(spark, name, path.name, **arguments)
    assert sorted(file for _, _, names in os.walk(path) for file in names) == files
    expect_all_snapshots(table, before)


@pytest.mark.parametrize(("name", "arguments", "done"), [
    ("rewrite_manifests", {}, "rewritten_manifests_count"),
    ("rewrite_data_files", {"options": "map('rewrite-all', 'true')"}, "rewritten_data_files_count"),
])
def test_what_rewrites_leaves_archived_snapshots_readable(spark, name, arguments, done):
    table, path = grown(spark, name, 300)
    before = table.snapshots()
    assert procedure(spark, name, name, **arguments)[0][done] >= 2
    expect_all_snapshots(table, before)
    # And both go on: archiving moves Spark's snapshots too.
    for number in range(300, 450):
        table.append_records([{"id": number}])
    spark(f"INSERT INTO ours.db.{name} VALUES (450, 'spark')")
    expect_all_snapshots(table, before)
    expect_every_row_once(spark, path, set(range(451)))


def test_rollback_and_cherry_pick_stay_in_the_window(spark):
    table, path = grown(spark, "rollback", 300)
    before = table.snapshots()
    with pytest.raises(SparkRefused, match="Cannot roll back to unknown snapshot id"):
        spark(f"CALL ours.system.rollback_to_snapshot('db.rollback', {before[0]['snapshot_id']})")
    spark(f"CALL ours.system.rollback_to_snapshot('db.rollback', {before[250]['snapshot_id']})")
    expect_all_snapshots(table, before)
    table.append_records([{"id": 1000}])
    expect_every_row_once(spark, path, {*range(251), 1000})


def test_a_young_table_is_maintained_and_goes_on(spark):
    """Nothing is archived yet, so Spark may collect: it removes old versions and what it expires, and we go on."""
    table, path = grown(spark, "young", 120)
    before = {snapshot["snapshot_id"] for snapshot in table.snapshots()}
    four_days_ago = time.time() - 4 * 86400
    for directory, _, names in os.walk(path):
        for name in names:
            os.utime(os.path.join(directory, name), (four_days_ago, four_days_ago), follow_symlinks=False)
    removed = [row["orphan_file_location"] for row in procedure(spark, "remove_orphan_files", "young")]
    assert not [name for name in removed if name.endswith((".parquet", ".avro"))], "files that snapshots name"
    assert {snapshot["snapshot_id"] for snapshot in table.snapshots()} == before
    expect_every_row_once(spark, path, set(range(120)))
    table.append_records([{"id": 120}])

    expired = procedure(spark, "expire_snapshots", "young", older_than="TIMESTAMP '2100-01-01 00:00:00'", retain_last="5")
    assert expired[0]["deleted_manifest_lists_count"] > 0
    assert len(datashard.load_table(str(path)).snapshots()) == 5
    for number in range(121, 320):
        table.append_records([{"id": number}])
    expect_every_row_once(spark, path, set(range(320)))
    assert len(table.snapshots()) == 5 + 199
