"""Group commit as Python sees it: threads, processes, forks, stopped leaders, Ctrl-C, schemas that change, rings that fail."""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])
RINGS = Path(f"/dev/shm/datashard-{os.geteuid()}")


def ids_in(path) -> list[int]:
    return sorted(row["id"] for row in datashard.load_table(str(path)).scan())


def start_writer(path, code: str) -> subprocess.Popen:
    """A process with `table` open that runs `code` and prints what it likes."""
    program = f"import datashard, os, sys, time\ntable = datashard.load_table({str(path)!r})\n" + textwrap.dedent(code)
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)


def append_for_ever(first: int) -> str:
    """Code of a writer that prints the id of each row once it is acknowledged."""
    return f"""
        number = {first}
        while True:
            table.append_records([{{"id": number}}])
            print(number, flush=True)
            number += 1
    """


def test_appends_of_threads_share_versions_and_none_is_lost(tmp_path):
    # A merge between the two counts at the end would be in one of them only.
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA, properties={"datashard.auto-merge": "off"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: table.append_records([{"id": n}]), range(400)))
    assert ids_in(tmp_path / "t") == list(range(400))
    counted = table.metrics()
    assert counted["datashard_group_appends_total"] == 400
    assert counted["datashard_groups_total"] < 400, "no two of 400 appends of 8 threads met"
    assert len(table.snapshots()) == counted["datashard_commits_total"]


def test_a_transaction_beside_appends_has_a_snapshot_of_its_own(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)

    def transact(n: int) -> None:
        with table.new_transaction() as tx:
            tx.append_records([{"id": 1000 + 2 * n}])
            tx.append_records([{"id": 1001 + 2 * n}])

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = [pool.submit(transact, n) for n in range(40)]
        done += [pool.submit(table.append_records, [{"id": n}]) for n in range(120)]
        for one in done:
            one.result()
    assert ids_in(tmp_path / "t") == [*range(120), *range(1000, 1080)]
    added = [(s["operation"], int(s["summary"]["added-data-files"]), int(s["summary"]["added-records"])) for s in table.snapshots()]
    assert sum(rows for _, _, rows in added) == 200
    assert sum(1 for _, files, rows in added if (files, rows) == (2, 2)) == 40, "both files of each in one snapshot"


def test_large_appends_of_several_threads_arrive_whole(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: table.append_records([{"id": n * 10_000 + i} for i in range(8_000)]), range(12)))
    assert table.row_count() == 96_000
    assert len(set(ids_in(tmp_path / "t"))) == 96_000


def test_appends_that_find_no_slot_wait_for_one_instead_of_racing_with_the_leader(tmp_path):
    schema = datashard.Schema(schema_id=1, fields=[*SCHEMA.fields, {"id": 2, "name": "text", "type": "string", "required": False}])
    table = datashard.create_table(str(tmp_path / "t"), schema)

    def work(first: int) -> None:
        for n in range(first, first + 5):
            table.append_records([{"id": n, "text": "x" * 3000}])  # only 64 slots hold that much

    with concurrent.futures.ThreadPoolExecutor(120) as pool:
        list(pool.map(work, range(0, 600, 5)))
    assert ids_in(tmp_path / "t") == list(range(600))
    counted = table.metrics()
    assert counted["datashard_ring_full_total"] > 0, "120 threads found room for all of their appends"
    assert counted.get("datashard_commit_conflicts_total", 0) == 0


def test_a_writer_on_its_own_leaves_no_marks_and_no_ring(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    before = set(os.listdir(RINGS)) if RINGS.exists() else set()
    for n in range(5):
        table.append_records([{"id": n}])
    assert len(table.snapshots()) == 5
    assert not [name for name in table.properties() if name.startswith("datashard.ring.")]
    made = set(os.listdir(RINGS)) - before
    del table
    gc.collect()  # a table and its managers refer to each other
    assert not made & set(os.listdir(RINGS)), "its ring stayed in memory"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_multiprocessing_append(tmp_path, method):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    table.append_records([{"id": 0}])  # so that the parent's ring is open when it forks
    context = multiprocessing.get_context(method)
    target = _append_through if method == "fork" else _append_to
    handle = table if method == "fork" else str(tmp_path / "t")
    children = [context.Process(target=target, args=(handle, 1 + 50 * n)) for n in range(4)]
    for child in children:
        child.start()
    for n in range(50):
        table.append_records([{"id": 1000 + n}])
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert ids_in(tmp_path / "t") == [*range(201), *range(1000, 1050)]


def _append_through(table, first: int) -> None:
    for n in range(50):
        table.append_records([{"id": first + n}])


def _append_to(path: str, first: int) -> None:
    _append_through(datashard.load_table(path), first)


def test_a_stopped_process_is_in_nobodys_way_and_its_row_is_there_once(tmp_path):
    """Stopped at random moments, the lead among them; whoever waits goes on without it."""
    path = tmp_path / "t"
    datashard.create_table(str(path), SCHEMA)
    stopped = [start_writer(path, append_for_ever(1_000_000 * (n + 1))) for n in range(3)]
    acknowledged: list[set[int]] = [set() for _ in stopped]

    def listen(n: int) -> None:
        for line in stopped[n].stdout:
            acknowledged[n].add(int(line))

    listeners = [threading.Thread(target=listen, args=(n,)) for n in range(3)]
    for listener in listeners:
        listener.start()
    table = datashard.load_table(str(path))
    try:
        own = 0
        for turn in range(6):
            victim = stopped[turn % 3]
            time.sleep(0.11)
            victim.send_signal(signal.SIGSTOP)
            for _ in range(5):
                table.append_records([{"id": own}])
                own += 1
            victim.send_signal(signal.SIGCONT)
    finally:
        for process in stopped:
            process.kill()
            process.wait()
    for listener in listeners:
        listener.join()
    found = ids_in(path)
    assert len(found) == len(set(found)), "a row is there twice"
    assert set(range(own)).union(*acknowledged) <= set(found)


def test_ctrl_c_ends_a_wait_for_a_stopped_leader_without_the_row(tmp_path):
    path = tmp_path / "t"
    datashard.create_table(str(path), SCHEMA)
    leader = start_writer(path, append_for_ever(1))
    waiter = start_writer(path, """
        sys.stdin.readline()
        try:
            while True:
                table.append_records([{"id": 5_000_000}])
        except KeyboardInterrupt as interrupt:
            print("interrupted", type(interrupt.__cause__).__name__, flush=True)
            table.append_records([{"id": 6_000_000}])  # it goes on
    """)
    assert leader.stdout.readline() == "1\n"
    leader.send_signal(signal.SIGSTOP)
    waiter.stdin.write("go\n")
    waiter.stdin.flush()
    time.sleep(0.5)
    before = ids_in(path).count(5_000_000)
    waiter.send_signal(signal.SIGINT)
    answer, _ = waiter.communicate(timeout=60)
    leader.send_signal(signal.SIGCONT)
    leader.kill()
    leader.wait()
    assert answer == "interrupted NoneType\n"
    found = ids_in(path)
    assert found.count(6_000_000) == 1
    assert found.count(5_000_000) >= before


def test_a_fork_child_leaves_its_parents_transaction_alone(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    transaction = table.new_transaction().begin()
    transaction.append_records([{"id": 1}])
    child = os.fork()
    if child == 0:
        assert not transaction.is_active()
        transaction.rollback()
        del transaction
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert transaction.commit()
    assert ids_in(tmp_path / "t") == [1]


@pytest.mark.local_files
def test_a_table_removed_and_made_anew_under_its_writers_gets_none_of_their_rows(tmp_path):
    path = tmp_path / "t"
    old = datashard.create_table(str(path), SCHEMA)
    old.append_records([{"id": 1}])
    shutil.rmtree(path)
    new = datashard.create_table(str(path), SCHEMA)
    with pytest.raises(datashard.DataShardError):
        old.append_records([{"id": 2}])
    new.append_records([{"id": 3}])
    assert ids_in(path) == [3]


@pytest.mark.local_files
def test_a_table_made_anew_is_not_built_upon_what_a_ring_remembers_of_the_old_one(tmp_path):
    path = tmp_path / "t"
    old = datashard.create_table(str(path), SCHEMA)
    old.append_records([{"id": 1}])
    other = datashard.load_table(str(path))
    for n in range(2, 6):
        other.append_records([{"id": n}])  # the ring's newest base is one that `old` has not seen
    for part in path.iterdir():  # a directory that stays is still the one that `old` has open
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    new = datashard.create_table(str(path), SCHEMA)
    for n in range(11, 16):
        new.append_records([{"id": n}])  # as many versions: that base's successor is the next one here too
    with pytest.raises(datashard.DataShardError):
        old.append_records([{"id": 6}])
    new.append_records([{"id": 16}])
    assert ids_in(path) == list(range(11, 17))


def test_without_shared_memory_appends_go_on_one_by_one(tmp_path):
    """Rings that cannot be trusted: one warning, and the rows are there all the same."""
    path = tmp_path / "t"
    datashard.create_table(str(path), SCHEMA)
    keeper = datashard.load_table(str(path))
    before = set(os.listdir(RINGS)) if RINGS.exists() else set()
    keeper.append_records([{"id": 0}])
    [name] = set(os.listdir(RINGS)) - before
    os.chmod(RINGS / name, 0o644)
    code = """
        for n in (1, 2):
            table.append_records([{"id": n}])
        print(table.metrics().get("datashard_groups_total", 0))
    """
    done = subprocess.run([sys.executable, "-c", f"import datashard\ntable = datashard.load_table({str(path)!r})\n" +
                           textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0\n"
    assert done.stderr.count("committed one by one") == 1 and "0644" in done.stderr
    keeper.append_records([{"id": 3}])
    assert ids_in(path) == [0, 1, 2, 3]


def test_durability_may_be_left_to_the_operating_system(tmp_path):
    path = tmp_path / "t"
    table = datashard.create_table(str(path), SCHEMA, properties={"datashard.durability": "os"})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: table.append_records([{"id": n}]), range(40)))
    table.append_records([{"id": 40 + n} for n in range(20_000)])
    assert ids_in(path) == list(range(20_040))
    with pytest.raises(datashard.DataShardError, match="datashard.durability is 'perhaps'; expected 'sync' or 'os'"):
        other = datashard.create_table(str(tmp_path / "other"), SCHEMA, properties={"datashard.durability": "perhaps"})
        other.append_records([{"id": 1}])


def test_group_commit_can_be_switched_off(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA, properties={"datashard.group-commit": "off"})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: table.append_records([{"id": n}]), range(20)))
    assert ids_in(tmp_path / "t") == list(range(20))
    assert len(table.snapshots()) == 20
