"""The stand-ins that programs test themselves with."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion import DbAdapter, DbAdapterError, ShardReader, ShardWriteError
from shardyfusion.testing import (FailOnceAdapterFactory, FileBackedReaderFactory, fake_adapter_factory, file_backed_adapter_factory,
                                  file_backed_load_db)

URL = "s3://b/p/shards/run_id=r/db=00003/attempt=00"


def test_the_fake_keeps_pairs_in_memory(tmp_path):
    with fake_adapter_factory(db_url=URL, local_dir=tmp_path) as adapter:
        assert isinstance(adapter, DbAdapter)
        adapter.write_batch([(b"a", b"1"), (b"b", b"")])
        adapter.write_batch(iter([(b"a", b"22")]))
        adapter.flush()
        adapter.seal()
        assert (adapter.pairs, adapter.num_batches, adapter.db_bytes()) == ({b"a": b"22", b"b": b""}, 2, 4)
        with pytest.raises(DbAdapterError, match="sealed"):
            adapter.write_batch([])
    assert adapter.closed


def test_files_hold_pairs_until_they_are_read(tmp_path):
    factory = pickle.loads(pickle.dumps(file_backed_adapter_factory(str(tmp_path / "dbs"))))

    @given(st.lists(st.tuples(st.binary(max_size=5), st.binary(max_size=5))))
    def check(pairs):
        with factory(db_url=URL, local_dir=tmp_path) as adapter:
            adapter.write_batch(pairs)
            adapter.flush()
            adapter.seal()
            assert adapter.db_bytes() == sum(8 + len(key) + len(value) for key, value in pairs)
        assert file_backed_load_db(str(tmp_path / "dbs"), URL) == dict(pairs)

    check()
    reader = FileBackedReaderFactory(str(tmp_path / "dbs"))(db_url=URL, local_dir=tmp_path, checkpoint_id=None, manifest=None)
    assert isinstance(reader, ShardReader) and reader.get(b"absent") is None
    with pytest.raises(DbAdapterError, match="no shard database"):
        file_backed_load_db(str(tmp_path), URL)


def test_a_file_cut_short_is_an_error(tmp_path):
    with file_backed_adapter_factory(str(tmp_path))(db_url=URL, local_dir=tmp_path) as adapter:
        adapter.write_batch([(b"key", b"value")])
    file = next(tmp_path.iterdir())
    for size in range(1, file.stat().st_size):
        whole = file.read_bytes()
        file.write_bytes(whole[:size])
        with pytest.raises(DbAdapterError, match="cut short"):
            file_backed_load_db(str(tmp_path), URL)
        file.write_bytes(whole)


def test_a_shard_fails_once_in_all_processes(tmp_path):
    factory = FailOnceAdapterFactory(fake_adapter_factory, marker_root=str(tmp_path / "markers"), fail_db_ids=(3,))
    with factory(db_url=URL.replace("00003", "00004"), local_dir=tmp_path) as adapter:
        adapter.write_batch([(b"a", b"1")])
    with pytest.raises(ShardWriteError, match="fails once") as failed, factory(db_url=URL, local_dir=tmp_path) as adapter:
        adapter.write_batch([(b"a", b"1")])
    assert failed.value.retryable
    with pickle.loads(pickle.dumps(factory))(db_url=URL, local_dir=tmp_path) as adapter:
        assert isinstance(adapter, DbAdapter)
        adapter.write_batch([(b"a", b"1")])
        adapter.flush()
        adapter.seal()
        assert adapter.db_bytes() == 2
