"""Lines of the fault table (docs/design/fault-table.md) that take real processes: namespaces, a thousand writers, a shared memory
that is full or holds garbage. What was acknowledged is there once, whatever happens to others."""

from __future__ import annotations

import collections
import json
import os
import random
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import datashard

STRESS = Path(__file__).resolve().parents[2] / "dev" / "stress.py"
SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])
RINGS = Path(f"/dev/shm/datashard-{os.geteuid()}")
NAMESPACE = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]

pytestmark = pytest.mark.slow

# A writer: adds the id of each acknowledged row to a file that outlives it, until a file `stop` appears.
WRITER = """
import datashard, os, sys
table, told, first, stop = sys.argv[1:]
table = datashard.load_table(table)
told = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
number = int(first)
while not os.path.exists(stop):
    table.append_records([{"id": number}])
    os.write(told, f"{number}\\n".encode())
    number += 1
"""
# The first process of a namespace: three writers, each replaced when it is killed.
KEEPER = """
import os, subprocess, sys, time
writer, table, told, first, stop = sys.argv[1:]
assert os.getpid() == 1
first, running = int(first), []
while not os.path.exists(stop):
    running = [one for one in running if one.poll() is None]
    while len(running) < 3:
        running.append(subprocess.Popen([sys.executable, "-c", writer, table, told, str(first), stop]))
        first += 100_000
    time.sleep(0.02)
sys.exit(any([one.wait() not in (0, -9) for one in running]))
"""


def needs(command: list[str]) -> None:
    """Skips where `command` does not run here."""
    done = subprocess.run([*command, "true"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{' '.join(command)} is not permitted here: {done.stderr.strip()}")


def ids_in(path) -> collections.Counter:
    return collections.Counter(row["id"] for row in datashard.load_table(str(path)).scan(columns=["id"]))


def children_of(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def rings_open_here() -> set[Path]:
    mapped = {line.split()[4] for line in Path("/proc/self/maps").read_text().splitlines()}
    return {ring for ring in RINGS.glob("*") if str(ring.stat().st_ino) in mapped}


def test_two_pid_namespaces_share_a_ring_and_kills_in_one_lose_nothing(tmp_path):
    needs(NAMESPACE)
    table, told, stop = tmp_path / "t", tmp_path / "told", tmp_path / "stop"
    datashard.create_table(str(table), SCHEMA)
    keepers = [subprocess.Popen([*NAMESPACE, sys.executable, "-c", KEEPER, WRITER, str(table), str(told),
                                 str((n + 1) * 1_000_000_000), str(stop)]) for n in range(2)]
    choice = random.Random(time.time_ns())
    killed = 0
    try:
        while not told.exists() or told.stat().st_size < 2000:
            time.sleep(0.05)
        end = time.monotonic() + 4
        while time.monotonic() < end or killed < 3:
            time.sleep(0.2)
            victims = [pid for first in children_of(keepers[0].pid) for pid in children_of(first)]
            if victims:
                os.kill(choice.choice(victims), 9)
                killed += 1
        stop.touch()
        assert [keeper.wait(60) for keeper in keepers] == [0, 0]
    finally:
        for keeper in keepers:
            keeper.kill()
            keeper.wait()
    acknowledged = {int(line) for line in told.read_text().split()}
    found = ids_in(table)
    assert {number // 1_000_000_000 for number in acknowledged} == {1, 2}
    assert not acknowledged - found.keys(), "acknowledged rows are lost"
    assert max(found.values()) == 1, "rows are there twice"
    assert len(found.keys() - acknowledged) <= killed
    marks = [text for name, text in datashard.load_table(str(table)).properties().items() if name.startswith("datashard.ring.")]
    assert len(marks) == 1, "the namespaces did not meet in one ring"


@pytest.mark.parametrize(("processes", "threads", "seconds"), [
    pytest.param(10, 20, 2, id="200"),
    pytest.param(25, 40, 10, id="1000", marks=pytest.mark.long),
])
def test_hundreds_of_writers_raise_nothing_and_lose_nothing(processes, threads, seconds):
    done = subprocess.run([sys.executable, str(STRESS), "--json", "--writers", str(processes), "--threads", str(threads),
                           "--seconds", str(seconds)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["table"]
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == 0
    assert found["fairness"]["Python"]["writers"] == processes * threads
    assert found["fairness"]["Python"]["slowest"] >= 1, "somebody never got a turn"


def test_with_a_full_dev_shm_appends_go_on_one_by_one(tmp_path):
    needs(["unshare", "--mount"])
    path = tmp_path / "t"
    datashard.create_table(str(path), SCHEMA)
    program = f"""
        import datashard
        table = datashard.load_table({str(path)!r})
        for n in range(3):
            table.append_records([{{"id": n}}])
        print(table.metrics().get("datashard_groups_total", 0))
    """
    done = subprocess.run(["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k full /dev/shm && exec "$0" -c "$1"',
                           sys.executable, textwrap.dedent(program)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
    assert done.stderr.count("committed one by one") == 1 and "No space left" in done.stderr
    assert ids_in(path) == {0: 1, 1: 1, 2: 1}


def test_a_ring_file_of_garbage_stops_nobody_and_repeats_nothing(tmp_path):
    """Garbage over the whole file, while one writer has it open and before another opens it."""
    path = tmp_path / "t"
    table = datashard.create_table(str(path), SCHEMA)
    before = rings_open_here()
    table.append_records([{"id": 0}])
    [ring] = rings_open_here() - before
    seed = time.time_ns()
    with open(ring, "r+b") as file:
        file.write(random.Random(seed).randbytes(ring.stat().st_size))
    told = {0}
    for number in range(1, 6):
        try:
            table.append_records([{"id": number}])
            told.add(number)
        except datashard.CommitUnknown:  # it reads as if the table had forgotten the ring
            pass
    code = f"import datashard\ntable = datashard.load_table({str(path)!r})\ntable.append_records([{{'id': 6}}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("committed one by one") <= 1, "it found the garbage, or the ring made anew in its place"
    found = ids_in(path)
    assert max(found.values()) == 1 and told | {6} <= found.keys(), f"seed {seed}"
