"""Other engines read the table while we append to it, and versions that add several snapshots."""

from __future__ import annotations

import concurrent.futures
import json
import threading

import datashard
import pytest

ENGINES = ["pyiceberg", "duckdb", "polars"]
THREADS = 8
READS = 5
SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])


def transact(table: datashard.Table, first: int) -> None:
    """Rows `first` and first + 1 in one snapshot, with a data file each."""
    with table.new_transaction() as tx:
        tx.append_records([{"id": first}])
        tx.append_records([{"id": first + 1}])


def lane(identity: int) -> int:
    return identity // 1_000_000


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reader_beside_writers_sees_whole_transactions_in_order(ask_all, tmp_path, engine):
    expect_whole_transactions(ask_all, engine, datashard.create_table(str(tmp_path / "t"), SCHEMA))


def expect_whole_transactions(ask_all, engine: str, table: datashard.Table) -> None:
    """Each read is a state of the table: of every thread the first so many transactions, whole and once."""
    where = table.location.removeprefix("file://")
    transact(table, 0)
    stop = threading.Event()
    written = [0] * THREADS

    def write(thread: int) -> None:
        while not stop.is_set():
            transact(table, 1_000_000 * (thread + 1) + written[thread])
            written[thread] += 2
            stop.wait(0.2)  # each is two data files, and readers open all of them

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        done = [pool.submit(write, thread) for thread in range(THREADS)]
        try:
            reads = ask_all(engine, "watch", where, READS)
        finally:
            stop.set()
        for one in done:
            one.result()
    assert len(reads) == READS and len(set(map(len, reads))) > 1, "nothing was written meanwhile"
    reads.append(ask_all(engine, "read_ids", table.metadata_location)[0])
    for ids in reads:
        assert len(ids) == len(set(ids)) and ids[:2] == [0, 1]
        for thread in range(THREADS):
            of_thread = [identity % 1_000_000 for identity in ids if lane(identity) == thread + 1]
            assert of_thread == list(range(len(of_thread))) and len(of_thread) % 2 == 0
    assert len(reads[-1]) == 2 + sum(written)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """A table, the number of a version that added several snapshots, and the ids of all snapshots of that version."""
    path = tmp_path_factory.mktemp("several") / "t"
    table = datashard.create_table(str(path), SCHEMA)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda n: transact(table, 2 * n), range(60)))
    last = int((path / "metadata/version-hint.text").read_text())
    before = 0
    for number in range(1, last + 1):
        snapshots = json.loads((path / f"metadata/v{number}.metadata.json").read_text()).get("snapshots", [])
        if len(snapshots) - before >= 2:
            return path, number, [snapshot["snapshot-id"] for snapshot in snapshots]
        before = len(snapshots)
    raise AssertionError("no version added two snapshots: the transactions of 8 threads never met")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_version_that_adds_several_snapshots(ask, several, engine):
    path, number, snapshots = several
    at_version = ask(engine, "read_ids", path / f"metadata/v{number}.metadata.json")
    assert len(at_version) == len(set(at_version)) == 2 * len(snapshots)
    seen: set[int] = set()
    by_id = ask(engine, "read_ids_of", path, *snapshots[-3:])
    for count, rows in enumerate(by_id, start=len(snapshots) - 2):
        assert len(rows) == len(set(rows)) == 2 * count and seen <= set(rows)
        seen = set(rows)
    assert seen == set(at_version)
    assert ask(engine, "read_ids", path) == list(range(120))
