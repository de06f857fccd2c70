"""Small files are merged in the background: the rows, their order and their history stay."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import time

import pytest

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True},
                                               {"id": 2, "name": "text", "type": "string"}])


def row(number: int) -> dict:
    return {"id": number, "text": f"row {number}" if number % 7 else None}


def append_until_merged(table, first: int) -> int:
    """Appends one row at a time until a merge was counted; gives the number of rows then."""
    for number in range(first, first + 5000):
        table.append_records([row(number)])
        if table.metrics().get("datashard_merges_total", 0) > 0:
            return number + 1
    raise AssertionError("no merge in 5,000 appends")


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A table of single rows, of which the oldest 256 were merged, and how many it has."""
    path = tmp_path_factory.mktemp("merged") / "t"
    table = datashard.create_table(str(path), SCHEMA)
    return table, append_until_merged(table, 0)


def test_single_rows_are_merged_and_keep_their_order(merged):
    table, rows = merged
    assert rows > 256
    assert table.scan() == [row(n) for n in range(rows)]
    assert table.row_count() == rows
    counted = table.metrics()
    assert counted["datashard_merged_files_total"] == 256 * counted["datashard_merges_total"]
    assert counted["datashard_merged_bytes_total"] > 256 * 100
    merges = [s for s in table.snapshots() if "deleted-data-files" in s["summary"]]
    assert len(merges) == counted["datashard_merges_total"]
    summary = merges[0]["summary"]
    assert summary["added-records"] == summary["deleted-records"] == summary["deleted-data-files"] == "256"
    assert summary["added-data-files"] == "1"


def test_snapshots_before_a_merge_are_read_as_they_were(merged):
    table, rows = merged
    appended = [s for s in table.snapshots() if s["operation"] == "append"]
    assert len(appended) == rows
    for number in (0, 1, 100, 255, 256, rows - 1):
        assert table.scan(snapshot_id=appended[number]["snapshot_id"]) == [row(n) for n in range(number + 1)]
    # Right after the merge the table holds what it held right before.
    snapshots = table.snapshots()
    at = next(n for n, s in enumerate(snapshots) if s["operation"] == "replace")
    assert table.scan(snapshot_id=snapshots[at]["snapshot_id"]) == table.scan(snapshot_id=snapshots[at - 1]["snapshot_id"])


def test_filters_find_rows_of_merged_files(merged):
    table, rows = merged
    assert table.scan(filter={"id": ("between", (200, 210))}) == [row(n) for n in range(200, 211)]
    assert len(table.scan(filter={"text": ("is_null", True)})) == (rows + 6) // 7


def test_merging_can_be_switched_off_and_other_words_are_refused(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA, properties={"datashard.auto-merge": "off"})
    with table.new_transaction() as tx:
        for number in range(300):
            tx.append_records([row(number)])
    for number in range(300, 310):
        table.append_records([row(number)])
    assert [s["operation"] for s in table.snapshots()] == ["append"] * 11
    assert not [name for name in table.metrics() if "merge" in name]
    with pytest.raises(ValueError, match="'maybe'; expected 'on' or 'off'"):
        datashard.create_table(str(tmp_path / "u"), SCHEMA, properties={"datashard.auto-merge": "maybe"})


def with_almost_enough(path):
    """256 small files of one row each; one more is worth a merge."""
    table = datashard.create_table(str(path), SCHEMA)
    with table.new_transaction() as tx:
        for number in range(256):
            tx.append_records([row(number)])
    return table


def test_a_program_that_ends_at_once_leaves_the_table_whole(tmp_path):
    with_almost_enough(tmp_path / "t")
    program = textwrap.dedent(f"""
        import datashard, sys
        table = datashard.load_table({str(tmp_path / "t")!r})
        start = table.row_count()
        for number in range(start, start + int(sys.argv[1])):
            table.append_records([{{"id": number}}])
        sys.kept = table  # nobody closes it
    """)
    rows = 256
    for more in (1, 2, 3, 5, 1, 8):
        done = subprocess.run([sys.executable, "-c", program, str(more)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        rows += more
        assert [r["id"] for r in datashard.load_table(str(tmp_path / "t")).scan()] == list(range(rows))


def append_range(table, first: int, count: int) -> None:
    for number in range(first, first + count):
        table.append_records([row(number)])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_start_while_merges_run(tmp_path, method):
    table = with_almost_enough(tmp_path / "t")
    context = multiprocessing.get_context(method)
    children = []
    for n in range(3):
        table.append_records([row(1000 + n)])
        target, handle = (append_range, table) if method == "fork" else (append_to, str(tmp_path / "t"))
        children.append(context.Process(target=target, args=(handle, 2000 + 100 * n, 20)))
        children[-1].start()
    for child in children:
        child.join(120)
        assert child.exitcode == 0
    found = sorted(r["id"] for r in table.scan())
    assert found == [*range(256), 1000, 1001, 1002, *[2000 + 100 * n + k for n in range(3) for k in range(20)]]


def append_to(path: str, first: int, count: int) -> None:
    append_range(datashard.load_table(path), first, count)


def test_a_killed_process_leaves_a_merge_to_the_next(tmp_path):
    with_almost_enough(tmp_path / "t")
    program = textwrap.dedent(f"""
        import datashard
        table = datashard.load_table({str(tmp_path / "t")!r})
        number = 1000
        while True:
            table.append_records([{{"id": number}}])
            print(number, flush=True)
            number += 1
    """)
    victim = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    acknowledged = int(victim.stdout.readline())
    time.sleep(0.02)  # somewhere in the merge that it has started
    victim.kill()
    rest = victim.communicate()[0].split()
    acknowledged = int(rest[-1]) if rest else acknowledged
    table = datashard.load_table(str(tmp_path / "t"))
    if not replaced(table):
        append_until_merged(table, 100_000)
    found = [r["id"] for r in table.scan()]
    assert len(found) == len(set(found))
    assert found[:256] == list(range(256))
    assert set(range(1000, acknowledged + 1)) <= set(found)
    assert replaced(table)


def replaced(table) -> int:
    return sum(s["operation"] == "replace" for s in table.snapshots())


def test_idle_tables_have_no_thread(tmp_path):
    table = datashard.create_table(str(tmp_path / "t"), SCHEMA)
    before = len(os.listdir("/proc/self/task"))
    for number in range(20):
        table.append_records([row(number)])
    assert len(os.listdir("/proc/self/task")) <= before + 1, "pyarrow's own may have come"
