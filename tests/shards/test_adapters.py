"""Shards one by one: adapters and shard readers that programs use by themselves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from snapshots import Place, numbers, run

from shardyfusion import DbAdapterError, LocalSlateDbFactory, SlateDbFactory, SlateDbReaderFactory, SlateDbSettings
from shardyfusion.local_slatedb_adapter import LocalSlateDbAdapter
from shardyfusion.reader import AsyncSlateDbReaderFactory
from shardyfusion.slatedb_adapter import DefaultSlateDbAdapter
from shardyfusion.sqlite_adapter import (AdaptiveSqliteReaderFactory, AsyncAdaptiveSqliteReaderFactory, AsyncSqliteRangeReaderFactory,
                                         AsyncSqliteReaderFactory, AsyncSqliteShardReader, SidecarUnavailableError, SqliteAdapter, SqliteFactory,
                                         SqliteRangeShardReader, SqliteShardReader, build_sidecar_frame, decide_access_mode, extract_sidecar,
                                         frame_to_sidecar, make_async_sqlite_reader_factory, make_sqlite_reader_factory,
                                         make_threshold_policy, maybe_upload_sidecar)
from shardyfusion.sqlite_page_size import CellShape, inline_payload_threshold, recommend_page_size, recommend_page_size_for_cells
from shardyfusion.storage import MemoryBackend

PAIRS = {b"key %d" % number: b"value %d" % number for number in range(100)}


@pytest.fixture(params=["sqlite", "slatedb"])
def written(request, tmp_path):
    """(format, URL) of a shard that an adapter has written."""
    url = f"file://{tmp_path / 'shard'}"
    factory = SqliteFactory() if request.param == "sqlite" else SlateDbFactory(settings=SlateDbSettings(
        raw_overrides={"compression_codec": "zstd"}))
    with factory(db_url=url, local_dir=tmp_path / "work") as adapter:
        adapter.write_batch(list(PAIRS.items())[50:])
        adapter.flush()
        adapter.write_batch(list(PAIRS.items())[:50])
        adapter.seal()
        assert adapter.db_bytes() > 0
        with pytest.raises(DbAdapterError, match="sealed"):
            adapter.write_batch([(b"late", b"")])
    return request.param, url


def test_what_an_adapter_writes_a_reader_of_its_format_finds(written, tmp_path):
    kind, url = written
    made = {"sqlite": lambda **options: SqliteShardReader(**options), "slatedb": SlateDbReaderFactory()}[kind]
    with made(db_url=url, local_dir=tmp_path / "local", checkpoint_id=None) as reader:
        assert all(reader.get(key) == value for key, value in PAIRS.items()) and reader.get(b"nothing") is None


def test_tasks_find_it_too(written, tmp_path):
    kind, url = written

    async def look():
        factory = {"sqlite": AsyncSqliteReaderFactory(), "slatedb": AsyncSlateDbReaderFactory()}[kind]
        reader = await factory(db_url=url, local_dir=tmp_path / "local", checkpoint_id="c", manifest=None)
        assert await reader.get(b"key 7") == b"value 7"
        await reader.close()

    run(look())


def test_an_adapter_that_is_not_sealed_leaves_nothing(tmp_path):
    url = f"file://{tmp_path / 'shard'}"
    with pytest.raises(RuntimeError), SqliteAdapter(db_url=url, local_dir=tmp_path / "work") as adapter:
        adapter.write_batch(PAIRS.items())
        adapter.seal()
        raise RuntimeError
    assert not (tmp_path / "shard").exists() and not (tmp_path / "work").exists()


def test_a_sqlite_adapter_writes_a_file_of_its_page_size(tmp_path):
    adapter = SqliteAdapter(db_url=f"file://{tmp_path / 'shard'}", local_dir=tmp_path / "work", page_size=8192)
    adapter.write_batch(PAIRS.items())
    adapter.seal()
    adapter.close()
    adapter.close()
    with sqlite3.connect(tmp_path / "shard" / "shard.db") as con:
        assert con.execute("PRAGMA page_size").fetchone() == (8192,)
        assert dict(con.execute("SELECT k, v FROM kv")) == PAIRS


@pytest.mark.parametrize("adapter", [DefaultSlateDbAdapter, LocalSlateDbAdapter])
def test_slatedb_adapters_by_name(adapter, tmp_path):
    made = adapter(db_url=f"file://{tmp_path / 'shard'}", local_dir=tmp_path / "work", env_file=None, settings=None)
    made.write_batch(PAIRS.items())
    made.seal()
    made.close()
    assert [path.name for path in (tmp_path / "shard" / "manifest").iterdir()] == ["00000000000000000001.manifest"]


def test_ranges_and_thresholds(written, tmp_path, place: Place):
    kind, url = written
    if kind == "sqlite":
        reader = SqliteRangeShardReader(db_url=url, local_dir=tmp_path / "local", checkpoint_id=None, page_cache_pages=16)
        assert reader.get(b"key 7") == b"value 7"
        assert run(AsyncSqliteShardReader(reader).get(b"key 8")) == b"value 8"
        reader.close()
    assert decide_access_mode(db_bytes_per_shard=[1, 2]) == "download"
    assert decide_access_mode(db_bytes_per_shard=[1, 2], per_shard_threshold=2) == "range"
    assert make_threshold_policy(total_budget=3).decide([1, 2]) == "range"
    assert type(make_sqlite_reader_factory(mode="range")).__name__ == "SqliteRangeReaderFactory"
    assert type(make_async_sqlite_reader_factory(mode="download")).__name__ == "AsyncSqliteReaderFactory"
    for make in (make_sqlite_reader_factory, make_async_sqlite_reader_factory):
        with pytest.raises(ValueError, match="'hope'"):
            make(mode="hope")


@pytest.mark.parametrize("factory", [AsyncSqliteReaderFactory(), AsyncSqliteRangeReaderFactory(), AsyncAdaptiveSqliteReaderFactory()])
def test_factories_for_tasks_are_settings_of_the_core(place: Place, factory):
    place.publish(numbers(10), adapter_factory=SqliteFactory(emit_sidecar=False))

    async def look():
        async with await place.async_reader(reader_factory=factory) as reader:
            return await reader.get(7)

    assert run(look()) == b"value 7"


def test_adaptive_factories_open_single_shards(place: Place, tmp_path):
    result = place.publish(numbers(10), num_dbs=1, adapter_factory=SqliteFactory())

    class Manifest:
        shards = result.winners

    options = {"db_url": result.winners[0].db_url, "local_dir": tmp_path, "checkpoint_id": None, "manifest": Manifest}
    with AdaptiveSqliteReaderFactory()(**options) as reader:
        assert reader.get((7).to_bytes(8, "big")) == b"value 7"


def test_a_sidecar_is_made_on_request(place: Place):
    for emit in (True, False):
        result = place.publish(numbers(10), num_dbs=1, adapter_factory=SqliteFactory(emit_sidecar=emit))
        directory = Path(result.winners[0].db_url.removeprefix("file://"))
        assert (directory / "shard.sidecar").exists() is emit


def test_local_is_the_same_format(place: Place):
    result = place.publish(numbers(10), num_dbs=1, adapter_factory=LocalSlateDbFactory())
    assert (Path(result.winners[0].db_url.removeprefix("file://")) / "manifest").is_dir()


@pytest.mark.parametrize(("p95", "size"), [(100, 4096), (900, 4096), (1000, 8192), (10**6, 65536)])
def test_pages_fit_the_values(p95, size):
    assert recommend_page_size(p95_value_bytes=p95) == size
    assert inline_payload_threshold(4096) == 1002
    assert recommend_page_size_for_cells([CellShape(p95 + 76, 64)] * 100) == size
    assert recommend_page_size_for_cells([]) == 4096


def test_a_sidecar_of_a_file_is_that_of_the_writer(place, tmp_path):
    result = place.publish({key: b"v" * 3000 for key in range(500)}, num_dbs=1, adapter_factory=SqliteFactory())
    directory = Path(result.winners[0].db_url.removeprefix("file://"))
    written = (directory / "shard.sidecar").read_bytes()
    tag_size = written[17]
    tag = written[18:18 + tag_size].decode()
    assert extract_sidecar(directory / "shard.db", db_tag=tag) == written
    built = build_sidecar_frame(tmp_path / "not needed", db_bytes=(directory / "shard.db").read_bytes())
    assert frame_to_sidecar(built.frame, tag, built.body_size, built.page_size) == written and built.page_size == 4096
    with pytest.raises(SidecarUnavailableError):
        frame_to_sidecar(built.frame, tag)
    with pytest.raises(SidecarUnavailableError):
        build_sidecar_frame(tmp_path, db_bytes=b"no database")
    backend = MemoryBackend()
    maybe_upload_sidecar(backend=backend, db_url="mem://shard", db_path=tmp_path, db_bytes=b"", db_tag=tag, built=built)
    assert backend.get("mem://shard/shard.sidecar") == written


def test_a_sidecar_that_cannot_be_uploaded_is_told_in_the_log(tmp_path, caplog):
    for tag in (None, "x"):
        maybe_upload_sidecar(backend=MemoryBackend(), db_url="mem://shard", db_path=tmp_path / "nothing", db_bytes=b"junk", db_tag=tag)
    assert caplog.messages == ["sqlite_adapter_sidecar_skipped"] * 2
