"""The product's own stress, dev/stress.py, in short runs: what was acknowledged is there once, and nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import datashard
import pytest

STRESS = Path(__file__).resolve().parents[2] / "dev" / "stress.py"
sys.path.insert(0, str(STRESS.parent))

import stress_check  # noqa: E402
from stress_driver import NATIVE_WRITER  # noqa: E402
from stress_writer import SCHEMA  # noqa: E402

pytestmark = pytest.mark.slow


def stress(*arguments: str, status: int = 0) -> dict:
    seed = os.environ.get("DATASHARD_SEED", str(time.time_ns() % 1_000_000))
    print(f"replay with DATASHARD_SEED={seed}")
    done = subprocess.run([sys.executable, str(STRESS), "--json", "--seed", seed, *arguments],
                          capture_output=True, text=True, timeout=280)
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_12_processes_lose_nothing_where_a_plain_file_does(tmp_path):
    table = tmp_path / "t"
    result = stress("--appends", "50", "--plain-files", "--table", str(table))
    found = result["table"]
    assert (found["expected"], found["found"], found["lost"], found["repeated"], found["errors"]) == (600, 600, 0, 0, 0)
    assert found["snapshots_read"] == 6
    assert result["plain_file"]["lost"] > 0
    opened = datashard.load_table(str(table))
    assert opened.row_count() == 600
    # Appends of one group may share a snapshot and its files; the files of lost races were cleaned away.
    snapshots = len(opened.snapshots())
    assert len(list((table / "data").glob("*.parquet"))) == snapshots
    assert len(list((table / "metadata" / "m").rglob("snap-*.avro"))) == snapshots


@pytest.mark.parametrize("start_method", ["spawn", "fork"])
def test_killed_and_stopped_writers_keep_every_acknowledged_row_once(tmp_path, start_method):
    table = tmp_path / "t"
    found = stress("--processes", "8", "--appends", "1500", "--kill-every", "0.3", "--stop-every", "0.7",
                   "--start-method", start_method, "--table", str(table))["table"]
    assert found["killed"] >= 5 and found["stopped"] >= 1
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == 0
    assert found["cut_off"] <= found["killed"] and found["expected"] + found["cut_off"] == 12_000
    # The table goes on: the next writer is not in anybody's way.
    datashard.load_table(str(table)).append_records([{"id": 999_999_999, "writer": 0}])
    assert datashard.load_table(str(table)).scan(filter={"id": 999_999_999}, columns=["writer"]) == [{"writer": 0}]


def test_threads_and_processes_together():
    found = stress("--processes", "4", "--threads", "3", "--appends", "1500", "--kill-every", "0.5")["table"]
    assert found["expected"] + found["cut_off"] == 6000 and found["cut_off"] <= 3 * found["killed"]
    assert found["killed"] >= 1


def test_c_and_python_writers_start_together_and_stop_when_the_time_is_over():
    if not NATIVE_WRITER.exists():
        pytest.skip(f"the C++ writer is not built; run: dev/build.sh {NATIVE_WRITER.name}")
    found = stress("--writers", "6", "--native", "4", "--seconds", "2", "--kill-every", "0.4")["table"]
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == 0
    assert found["killed"] >= 1 and found["cut_off"] <= found["killed"]
    assert {kind: of["writers"] for kind, of in found["fairness"].items()} == {"Python": 2, "C++": 4}
    assert found["memory_bytes"] > 2**20


def test_fairness_is_counted_by_writer():
    of = stress_check.fairness([30, 10, 20, 40], [1_000, 2_500_000, 3, 4])
    assert (of["writers"], of["slowest"], of["median"], of["fastest"], of["longest_append_seconds"]) == (4, 10, 30, 40, 2.5)
    assert "4 C++ writers made 10 to 40 appends (4.00x" in stress_check.fairness_line("C++", of)
    assert "∞" in stress_check.fairness_line("C++", stress_check.fairness([0, 1], [1, 1]))


def test_a_lost_a_repeated_and_a_stray_row_are_found(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    for row in (1, 2, 2, 4):
        table.append_records([{"id": row, "writer": 0}])
    result = stress_check.verdict(table, acknowledged={1, 2, 3}, skipped={5}, raised={}, died=[], snapshots=1,
                                  choice=random.Random(1))
    assert (result["lost"], result["repeated"], result["strays"], result["ok"]) == (1, 1, 1, False)
    assert "WRONG" in stress_check.table_lines(result | {"killed": 0, "stopped": 0, "seconds": 1.0, "seed": 1,
                                                         "appends_per_second": 4.0, "memory_bytes": 0})


def test_a_row_cut_off_by_a_kill_may_be_there_and_an_append_that_raised_is_an_error(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    for row in (1, 2):
        table.append_records([{"id": row, "writer": 0}])
    cut_off = stress_check.verdict(table, {1}, {2, 3}, {}, [], 1, random.Random(1))
    assert cut_off["ok"] and (cut_off["cut_off"], cut_off["cut_off_there"]) == (2, 1)
    raised = stress_check.verdict(table, {1}, set(), {2: "Conflict: late"}, [], 1, random.Random(1))
    assert not raised["ok"] and raised["lost"] == 0 and raised["error_examples"] == ["row 2: Conflict: late"]


def test_an_append_that_returns_without_appending_ends_the_program_with_status_1():
    program = f"""
import sys
sys.path.insert(0, {str(STRESS.parent)!r})
import datashard, stress
append = datashard.Table.append_records
datashard.Table.append_records = lambda table, rows: True if rows[0]["id"] == 7 else append(table, rows)
sys.argv[1:] = ["--processes", "2", "--appends", "6", "--start-method", "fork", "--json"]
stress.main()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)["table"]
    assert (found["expected"], found["found"], found["lost"], found["ok"]) == (12, 11, 1, False)


@pytest.mark.parametrize(("arguments", "says"), [
    (["--processes", "0"], "--processes must be at least 1"),
    (["--appends", "10", "--threads", "3"], "cannot be shared evenly by 3 threads"),
    (["--native", "13"], "--native must be from 0 to --processes, 12"),
    (["--seconds", "0"], "--seconds must be more than 0 seconds"),
    (["--kill-every", "0"], "--kill-every must be more than 0 seconds"),
    (["--table", "."], "exists already"),
])
def test_a_wrong_option_is_refused_with_its_name(arguments, says):
    done = subprocess.run([sys.executable, str(STRESS), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and says in done.stderr
