"""Transactions: all or nothing, in one snapshot, and what their objects may be asked when."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

import datashard


@pytest.fixture
def table(make):
    return make(id="long required", name="string")


def ids(table):
    return [row["id"] for row in table.scan()]


def data_files(table):
    return list(Path(table.table_path).rglob("*.parquet"))


def test_appends_become_visible_together(table, schema_of):
    with table.new_transaction() as tx:
        assert tx.append_records([{"id": 1}]) is tx
        assert tx.append_data([{"id": 2}], schema_of(id="long required", name="string")) is tx
        tx.append_arrow(pa.table({"id": [3]})).append_pandas(pd.DataFrame({"id": [4]}))
        tx.append_records(pa.table({"id": [5]}))
        assert tx.is_active() and ids(table) == [] and table.snapshots() == []
    assert not tx.is_active()
    assert ids(table) == [1, 2, 3, 4, 5] and len(table.snapshots()) == 1


def test_commit_inside_the_block(table):
    with table.new_transaction() as tx:
        tx.append_data([{"id": 1}])
        assert tx.commit() is True
        assert ids(table) == [1]
    assert len(table.snapshots()) == 1


def test_an_exception_rolls_back_and_goes_on(table):
    with pytest.raises(ZeroDivisionError):
        with table.new_transaction() as tx:
            tx.append_records([{"id": 1}])
            raise ZeroDivisionError
    assert not tx.is_active() and ids(table) == [] and data_files(table) == []


def test_a_refused_record_spoils_only_its_own_append(table):
    with table.new_transaction() as tx:
        tx.append_records([{"id": 1}])
        with pytest.raises(ValueError, match="record 1"):
            tx.append_records([{"id": 2}, {"id": "x"}])
        assert tx.is_active()
        tx.append_records([{"id": 3}])
    assert ids(table) == [1, 3]


def test_not_begun(table):
    tx = table.new_transaction()
    assert not tx.is_active() and tx.rollback() is False
    for call in (tx.commit, lambda: tx.append_records([{"id": 1}]), lambda: tx.append_arrow(pa.table({"id": [1]})),
                 lambda: tx.append_pandas(pd.DataFrame({"id": [1]})), lambda: tx.append_files([]),
                 lambda: tx.expire_snapshots(0)):
        with pytest.raises(RuntimeError, match="Transaction is not active"):
            call()
    assert table.snapshots() == []


def test_ended(table):
    tx = table.new_transaction().begin()
    tx.append_records([{"id": 1}])
    assert tx.commit() is True
    with pytest.raises(RuntimeError, match="not active"):
        tx.commit()
    assert tx.rollback() is False and ids(table) == [1]


def test_begin_starts_afresh(table):
    tx = table.new_transaction().begin()
    with pytest.raises(RuntimeError, match="already active"):
        tx.begin()
    tx.append_records([{"id": 1}])
    assert tx.rollback() is True and data_files(table) == []
    tx.begin().append_records([{"id": 2}])
    assert tx.commit() is True and ids(table) == [2]
    with tx:
        tx.append_records([{"id": 3}])
    assert ids(table) == [2, 3]


def test_empty_commit_is_true_without_a_snapshot(table):
    with table.new_transaction() as tx:
        tx.append_records([])
        assert tx.commit() is True
    with table.new_transaction():
        pass
    assert table.snapshots() == []


def test_dropped_transactions_leave_nothing(table):
    tx = table.new_transaction().begin()
    tx.append_records([{"id": 1}])
    del tx
    assert ids(table) == [] and data_files(table) == []


def test_a_transaction_keeps_its_table_alive(tmp_path):
    tx = datashard.create_table(tmp_path / "t").new_transaction().begin()
    tx.append_records([{"id": 1}])
    assert tx.commit() is True
    assert ids(datashard.load_table(tmp_path / "t")) == [1]


def test_two_at_once_both_land(table):
    first, second = table.new_transaction().begin(), table.new_transaction().begin()
    first.append_records([{"id": 1}])
    second.append_records([{"id": 2}])
    assert second.commit() and first.commit()
    assert ids(table) == [2, 1]


@pytest.mark.local_files
def test_the_first_of_two_schemas_wins(make):
    table = make()
    first, second = table.new_transaction().begin(), table.new_transaction().begin()
    first.append_records([{"a": 1}])
    second.append_records([{"b": "x"}])
    assert first.commit() is True
    with pytest.raises(ValueError, match="Nothing was committed"):
        second.commit()
    assert not second.is_active() and table.scan() == [{"a": 1}] and len(data_files(table)) == 1


def test_expire_snapshots(table):
    for number in range(3):
        table.append_records([{"id": number}])
    newest = table.current_snapshot().timestamp_ms
    with table.new_transaction() as tx:
        assert tx.expire_snapshots(older_than_ms=1609459200000) is tx
        assert tx.expire_snapshots(older_than_ms=newest + 1, retain_last=3) is tx
        for call in (lambda: tx.expire_snapshots(older_than_ms=newest + 1), tx.expire_snapshots):
            with pytest.raises(NotImplementedError, match="all snapshots are kept"):
                call()
        with pytest.raises(ValueError, match="retain_last"):
            tx.expire_snapshots(older_than_ms=0, retain_last=0)
    assert len(table.snapshots()) == 3


@pytest.mark.parametrize("call", [
    lambda tx: tx.delete_files(["data/x.parquet"]), lambda tx: tx.overwrite_by_filter(lambda row: True),
    lambda tx: tx.set_properties({"a": "b"}), lambda tx: tx.compact_manifests(), lambda tx: tx.mark_replace(),
    lambda tx: tx.append_records([{"id": 1}], partition_values={"a": 1}),
])
def test_later_names_do_nothing_but_say_so(table, call):
    with table.new_transaction() as tx:
        with pytest.raises(NotImplementedError, match="not available in this release; ."):
            call(tx)
    assert table.snapshots() == []


def test_manager(table):
    tx = table.transaction_manager.begin_transaction()
    tx.append_records([{"id": 1}])
    tx.commit()
    table.transaction_manager.cleanup_completed_transactions()
    assert ids(table) == [1]
