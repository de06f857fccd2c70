"""Spark appends through its Hadoop catalog while our writers do, also held between its look and its rename."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import pytest
from beside import Spark, SparkRefused, Writers, expect_every_row_once, head_of, new_table

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
SPARKS = 9_000_000_000  # ids of Spark's rows begin here


def wait_for(condition) -> None:
    while not condition():
        time.sleep(0.01)


def insert(spark: Spark, path: Path, count: int) -> tuple[set[int], set[int]]:
    """Spark appends `count` rows one by one: those it was told are there, those it was refused."""
    there, refused = set(), set()
    for row in range(SPARKS, SPARKS + count):
        try:
            spark(f"INSERT INTO ours.db.{path.name} VALUES ({row}, 'spark')")
            there.add(row)
        except SparkRefused as refusal:
            assert "CommitFailedException" in str(refusal), refusal
            refused.add(row)
    return there, refused


def beside_writers(spark: Spark, path: Path, processes: int, count: int) -> tuple[Writers, set[int], set[int], int]:
    """Both at once. Returns our writers, Spark's rows, those refused, and how far the versions moved meanwhile."""
    writers = Writers(path, processes)
    try:
        wait_for(lambda: len(writers.acknowledged) >= 100)
        before, start = head_of(path), time.monotonic()
        there, refused = insert(spark, path, count)
        moved, seconds = head_of(path) - before, time.monotonic() - start
    finally:
        writers.stop()
    print(f"{moved} versions in {seconds:.1f} s, {moved / seconds:.0f} a second, {writers.metrics['datashard_foreign_turns_total']:.0f} "
          f"turns given; Spark: {len(there)} appends, {len(refused)} refused")
    return writers, there, refused, moved


def test_40_appends_of_spark_beside_three_writers(spark):
    table, path = new_table(spark, "beside")
    table.append_records([{"id": 0}])
    writers, there, refused, moved = beside_writers(spark, path, 3, 40)
    assert moved > 40, "our writers stood still"
    assert there, "Spark never came to its turn"
    expect_every_row_once(spark, path, {0} | there | writers.acknowledged, refused)


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_spark_held_between_its_look_and_its_rename(spark, tmp_path):
    table, path = new_table(spark, "held")
    table.append_records([{"id": 0}])
    trace = tmp_path / "trace"
    held = Spark(spark.warehouse, tmp_path / "spark.log", under=[
        "strace", "-f", "--seccomp-bpf", "-qq", "-o", str(trace), "-e", "trace=rename,renameat,renameat2", "-e", "signal=none",
        "-e", "inject=rename,renameat,renameat2:delay_enter=2000000"])
    try:
        writers, there, refused, moved = beside_writers(held, path, 3, 6)
    finally:
        held.close()
    renamed = re.findall(r'rename\w*\(.*?/metadata/[0-9a-f-]{36}\.metadata\.json", .*?/metadata/v\d+\.metadata\.json".*\(DELAYED\)',
                         trace.read_text())
    assert len(renamed) >= len(there) > 0, "Spark was not held"
    assert writers.metrics["datashard_foreign_waits_total"] > 0, "nobody met it"
    assert moved > len(there), "our writers stood still"
    expect_every_row_once(spark, path, {0} | there | writers.acknowledged, refused)
