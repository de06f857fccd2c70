"""One table among threads, forked and spawned processes; and Ctrl-C."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

import datashard


def append_some(table, writer, count):
    for number in range(count):
        table.append_records([{"id": writer * 1000 + number}])
    return table.row_count()


def test_threads_share_a_table(make):
    table = make(id="long")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        appends = [pool.submit(append_some, table, writer, 8) for writer in range(4)]
        reads = [pool.submit(lambda: [len(table.scan(parallel=2)) for _ in range(20)]) for _ in range(4)]
        for done in (*appends, *reads):
            done.result()
        for counts in (done.result() for done in reads):
            assert counts == sorted(counts)
    assert sorted(r["id"] for r in table.scan()) == sorted(w * 1000 + n for w in range(4) for n in range(8))
    # Appends that wait at the same moment share a snapshot; each of its own would be the most.
    assert 8 <= len(table.snapshots()) <= 32


def test_the_gil_is_free_while_files_are_read(make):
    table = make(id="long", text="string")
    for start in range(0, 40):
        table.append_records([{"id": n, "text": "x" * 50} for n in range(start * 2000, start * 2000 + 2000)])
    ticks = 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        scan = pool.submit(table.to_arrow)
        while not scan.done():
            ticks += 1
            time.sleep(0.0005)
    assert scan.result().num_rows == 80_000
    assert ticks > 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_get_a_table_by_pickling_or_fork(make, method):
    table = make(id="long")
    append_some(table, 9, 1)
    table.scan(parallel=2)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        done = [pool.submit(append_some, table, writer, 3) for writer in range(2)]
        assert max(d.result(timeout=120) for d in done) == 7
    assert table.row_count() == 7


def test_a_forked_child_uses_the_table_it_inherited(make):
    table = make(id="long")
    append_some(table, 1, 2)
    assert len(table.scan(parallel=True)) == 2
    child = os.fork()
    if child == 0:
        status = 1
        try:
            append_some(table, 2, 2)
            status = 0 if len(table.scan(parallel=True)) == 4 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert table.row_count() == 4


@pytest.mark.local_files
def test_pickle_opens_the_same_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = datashard.create_table("t")
    append_some(table, 1, 1)
    text = pickle.dumps(table)
    monkeypatch.chdir("/")
    assert pickle.loads(text).scan() == table.scan() == [{"id": 1000}]


def test_errors_cross_processes(make):
    table = make(id="long")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(datashard.InvalidArgument, match="record 0"):
            pool.submit(table.append_records, [{"id": "x"}]).result(timeout=120)


INTERRUPTED = """
import sys, datashard
table = datashard.create_table(sys.argv[1])
print("ready", flush=True)
number = 0
try:
    while True:
        table.append_records([{"id": number}])
        number += 1
except KeyboardInterrupt:
    found = [row["id"] for row in table.scan()]
    # The append that was interrupted may have been published; all before it must be.
    assert found in (list(range(number)), list(range(number + 1))), (number, found[-3:])
    print("ok")
"""


def test_ctrl_c_ends_appends_and_loses_nothing(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path / "t")], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert (out, process.returncode) == ("ok\n", 0), errors


def test_ctrl_c_ends_a_long_conversion(tmp_path):
    code = ("import datashard._core as core, sys\n"
            "rows = [{'id': n} for n in range(500_000)]\n"
            "print('ready', flush=True)\n"
            "while True: core.rows_of_records(rows, 1, [{'id': 1, 'name': 'id', 'type': 'long'}])\n")
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors and process.returncode in (-signal.SIGINT, 130, 1)
