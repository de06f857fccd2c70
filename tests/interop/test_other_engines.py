"""Other engines read what we write, in every state it can be asked for; we read and extend what the released package wrote."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid

import pytest
from peer import plain, rows_of

import datashard

UTC = datetime.timezone.utc
ALL_TYPES = [
    ("id", "long"), ("flag", "boolean"), ("small", "int"), ("single", "float"), ("double", "double"),
    ("price", "decimal(10,2)"), ("huge", "decimal(38,5)"), ("day", "date"), ("clock", "time"),
    ("naive", "timestamp"), ("instant", "timestamptz"), ("text", "string"), ("key", "uuid"),
    ("raw", "binary"), ("tag", "fixed[4]"),
]
ROWS = [
    {"id": 1, "flag": True, "small": -2**31, "single": 1.5, "double": -0.1, "price": decimal.Decimal("-12.34"),
     "huge": decimal.Decimal("123456789012345678901234567890123.00001"), "day": datetime.date(1969, 12, 31),
     "clock": datetime.time(23, 59, 59, 999999), "naive": datetime.datetime(2013, 1, 1, 5, 0, 0, 1),
     "instant": datetime.datetime(2013, 1, 1, 5, tzinfo=UTC), "text": "größe 🛫", "raw": b"\x00\xff",
     "key": uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7"), "tag": b"abcd"},
    {"id": 2},
    {"id": 3, "flag": False, "small": 2**31 - 1, "single": float("nan"), "double": float("inf"),
     "price": decimal.Decimal("0.00"), "huge": decimal.Decimal("-0.00001"), "day": datetime.date(9999, 12, 31),
     "clock": datetime.time(0, 0), "naive": datetime.datetime(1, 1, 1), "text": "", "raw": b"", "tag": b"\x00" * 4,
     "instant": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), "key": uuid.UUID(int=0)},
]


def schema_of(columns) -> datashard.Schema:
    return datashard.Schema(schema_id=1, fields=[
        {"id": number, "name": name, "type": kind, "required": name == "id"}
        for number, (name, kind) in enumerate(columns, start=1)])


def expected(rows, columns=ALL_TYPES) -> list[dict]:
    return [{name: plain(row.get(name)) for name, _ in columns} for row in rows]


@pytest.fixture(scope="module")
def typed_table(tmp_path_factory):
    path = tmp_path_factory.mktemp("typed") / "ta ble=größe"
    table = datashard.create_table(str(path), schema_of(ALL_TYPES))
    table.append_records(ROWS[:2])
    table.append_records(ROWS[2:])
    return path


@pytest.mark.parametrize("engine", ["released", "pyiceberg", "duckdb"])
def test_every_primitive_type_and_null_reads_the_same(ask, typed_table, engine):
    rows = ask(engine, "read", typed_table)
    want = expected(ROWS)
    for row, wanted in zip(rows, want):
        if isinstance(row["key"], str) and row["key"].startswith("bytes "):
            row["key"] = "uuid " + str(uuid.UUID(hex=row["key"].removeprefix("bytes ")))
        elif row["key"] is not None and not str(row["key"]).startswith("uuid "):
            row["key"] = f"uuid {row['key']}"
        assert row == wanted
    assert len(rows) == len(want)


@pytest.fixture(scope="module")
def long_table(tmp_path_factory):
    """300 snapshots, one row each."""
    path = tmp_path_factory.mktemp("long") / "t"
    table = datashard.create_table(str(path), schema_of([("id", "long"), ("text", "string")]),
                                   properties={"datashard.auto-merge": "off"})
    for number in range(300):
        table.append_records([{"id": number, "text": f"row {number}" if number % 7 else None}])
    return path


@pytest.mark.parametrize("engine", ["released", "pyiceberg", "duckdb"])
def test_300_snapshots_of_which_engines_see_the_window(ask, long_table, engine):
    table = datashard.load_table(str(long_table))
    mine = [s["snapshot_id"] for s in table.snapshots()]
    assert len(mine) == 300 and "datashard.history" in table.metadata_manager.refresh().properties
    window = ask(engine, "snapshots", long_table)
    assert 100 <= len(window) < 300 and sorted(window) == sorted(mine[-len(window):])
    assert [row["id"] for row in ask(engine, "read", long_table)] == list(range(300))
    for number in (300 - len(window), 298):
        rows = ask(engine, "read", long_table, mine[number])
        assert [row["id"] for row in rows] == list(range(number + 1))


def test_what_left_the_window_is_read_by_us_alone(ask, long_table):
    table = datashard.load_table(str(long_table))
    first = table.snapshots()[0]
    assert [row["id"] for row in table.scan(snapshot_id=first["snapshot_id"])] == [0]
    assert table.time_travel(timestamp=first["timestamp_ms"]) is not None
    assert first["snapshot_id"] not in ask("pyiceberg", "snapshots", long_table)


@pytest.fixture(scope="module")
def merged_table(tmp_path_factory):
    """257 rows or more, one file each, of which the oldest 256 were merged; and how many they are."""
    path = tmp_path_factory.mktemp("merged") / "t"
    table = datashard.create_table(str(path), schema_of(ALL_TYPES))
    with table.new_transaction() as tx:
        for number in range(256):
            tx.append_records([{**ROWS[number % 3], "id": number}])
    rows = 256
    while "datashard_merges_total" not in table.metrics():
        table.append_records([{"id": rows}])
        rows += 1
        assert rows < 3000, "small files were not merged"
    return path, rows


@pytest.mark.parametrize("engine", ["released", "pyiceberg", "duckdb"])
def test_merged_files_and_what_was_before_them_read_the_same(ask, merged_table, engine):
    path, rows = merged_table
    table = datashard.load_table(str(path))
    snapshots = table.snapshots()
    assert [s["operation"] for s in snapshots].count("replace") == 2
    assert ask(engine, "read", path) == ask(engine, "read", path, snapshots[-1]["snapshot_id"])
    assert [row["id"] for row in ask(engine, "read", path)] == list(range(rows))
    merge = next(n for n, s in enumerate(snapshots) if s["operation"] == "replace")
    before = ask(engine, "read", path, snapshots[merge - 1]["snapshot_id"])
    # The snapshot that also says what is gone; the released package takes that for live files, in this one alone.
    of_merge = ask(engine, "read", path, snapshots[merge]["snapshot_id"])
    assert len(of_merge) == len(before) + 256 if engine == "released" else of_merge == before
    assert before == ask(engine, "read", path, snapshots[merge + 1]["snapshot_id"])
    assert ask(engine, "read", path, snapshots[0]["snapshot_id"]) == before[:256]


def test_the_released_package_verifies_a_merged_table(ask, merged_table):
    path, rows = merged_table
    verdict = ask("released", "verify", path)
    assert verdict["ok"] and verdict["rows"] == verdict["rows_read"] == rows


@pytest.mark.parametrize("engine", ["pyiceberg", "duckdb"])
def test_filters_pushed_into_our_bounds_lose_nothing(ask, long_table, engine):
    rows = ask(engine, "filtered", long_table, "id >= 250 AND id < 260")
    assert [row["id"] for row in rows] == list(range(250, 260))
    rows = ask(engine, "filtered", long_table, "text is null")
    assert [row["id"] for row in rows] == list(range(0, 300, 7))


def test_the_released_package_verifies_and_extends_our_table(ask, tmp_path):
    path = tmp_path / "ours"
    table = datashard.create_table(str(path), schema_of([("id", "long"), ("text", "string")]))
    table.append_records([{"id": 1, "text": "ours"}])
    assert ask("released", "verify", path)["ok"]
    assert ask("released", "append", path, json.dumps([{"id": 2, "text": "theirs"}]))
    table.append_records([{"id": 3, "text": "ours again"}])
    assert [row["id"] for row in table.scan()] == [1, 2, 3]
    verdict = ask("released", "verify", path)
    assert verdict["ok"] and verdict["rows"] == 3 and verdict["rows_read"] == 3
    assert [row["id"] for row in ask("duckdb", "read", path)] == [1, 2, 3]


def test_we_read_and_extend_a_table_of_the_released_package(ask, tmp_path):
    path = tmp_path / "theirs"
    fields = [{"id": 1, "name": "id", "type": "long", "required": True},
              {"id": 2, "name": "text", "type": "string", "required": False}]
    ask("released", "create", path, json.dumps(fields))
    for number in range(20):
        ask("released", "append", path, json.dumps([{"id": number, "text": None if number % 2 else "x"}]))
    table = datashard.load_table(str(path))
    assert [row["id"] for row in table.scan()] == list(range(20))
    assert rows_of(table.to_arrow()) == ask("released", "read", path)
    first = table.snapshots()[0]["snapshot_id"]
    assert [row["id"] for row in table.scan(snapshot_id=first)] == [0]
    table.append_records([{"id": 20, "text": "ours"}])
    verdict = ask("released", "verify", path)
    assert verdict["ok"] and verdict["rows_read"] == 21
    assert [row["id"] for row in ask("pyiceberg", "read", path)] == list(range(21))


def test_a_schemaless_table_of_the_released_package_adopts_our_first_rows(ask, tmp_path):
    path = tmp_path / "schemaless"
    ask("released", "create_schemaless", path)
    datashard.load_table(str(path)).append_records([{"id": 1, "text": "x"}])
    assert ask("released", "read", path) == [{"id": 1, "text": "x"}]
    assert ask("released", "verify", path)["ok"]
