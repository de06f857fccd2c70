"""Many real processes on one table, some of them killed: what was acknowledged is there once, and nothing is there twice."""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import datashard

WRITER = Path(__file__).with_name("writer.py")
SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "writer", "type": "int", "required": True},
])


def start(table: Path, notes: Path, writer: int, count: int) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, str(WRITER), str(table), str(notes), str(writer), str(count)],
                            stderr=subprocess.PIPE, text=True)


def ids_in(table: Path) -> collections.Counter:
    return collections.Counter(row["id"] for row in datashard.load_table(str(table)).scan(columns=["id"]))


def test_12_processes_lose_nothing(tmp_path):
    table, appends = tmp_path / "t", 50
    datashard.create_table(str(table), SCHEMA)
    writers = [start(table, tmp_path / f"notes-{w}", w, appends) for w in range(12)]
    for process in writers:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors
    found = ids_in(table)
    assert found == collections.Counter(w * 1_000_000 + n for w in range(12) for n in range(appends))
    assert datashard.load_table(str(table)).row_count() == 600
    # Every append is a snapshot of its own, and the files of lost races were cleaned away.
    assert len(datashard.load_table(str(table)).snapshots()) == 600
    assert len(list((table / "data").glob("*.parquet"))) == 600
    assert len(list((table / "metadata" / "m").rglob("snap-*.avro"))) == 600


def test_8_processes_under_kill_9_keep_every_acknowledged_row_once(tmp_path):
    seed = int(os.environ.get("DATASHARD_SEED", time.time_ns() % 1_000_000))
    print(f"replay with DATASHARD_SEED={seed}")
    choice = random.Random(seed)
    table = tmp_path / "t"
    datashard.create_table(str(table), SCHEMA)
    names = iter(range(1000))
    running: dict[int, subprocess.Popen] = {}
    killed = 0
    until = time.monotonic() + 12
    while time.monotonic() < until:
        while len(running) < 8:
            writer = next(names)
            running[writer] = start(table, tmp_path / f"notes-{writer}", writer, 100_000)
        time.sleep(choice.uniform(0.1, 0.6))
        writer = choice.choice(sorted(running))
        process = running.pop(writer)
        assert process.poll() is None, f"writer {writer} ended by itself: {process.stderr.read()}"
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    for process in running.values():
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert killed >= 10

    found = ids_in(table)
    assert max(found.values()) == 1, "a row is there twice"
    acknowledged = {int(line) for notes in tmp_path.glob("notes-*") for line in notes.read_text().split()}
    assert len(acknowledged) > 50, "the writers hardly got anywhere"
    assert acknowledged <= set(found), f"lost: {sorted(acknowledged - set(found))[:10]}"
    # A row that is there without a note belongs to the append its writer was killed in: at most one each.
    extra = collections.Counter(row // 1_000_000 for row in set(found) - acknowledged)
    assert all(count == 1 for count in extra.values()), extra
    # The table goes on: the next writer is not in anybody's way.
    datashard.load_table(str(table)).append_records([{"id": 999_999_999, "writer": 0}])
    assert ids_in(table)[999_999_999] == 1
