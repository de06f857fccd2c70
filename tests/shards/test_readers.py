"""The readers: what they find, what they say about themselves, how they follow and how they end."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from snapshots import FORMATS, Place, numbers, run

from shardyfusion import (ConfigValidationError, InMemoryManifestStore, ReaderStateError, ThreadSafeTokenBucket)
from shardyfusion.cel import UnknownRoutingTokenError
from shardyfusion.config import WriterManifestConfig
from shardyfusion.errors import DbAdapterError, PoolExhaustedError
from shardyfusion.manifest_store import S3ManifestStore
from shardyfusion.metrics import MetricEvent
from shardyfusion.sqlite_adapter import (AdaptiveSqliteReaderFactory, AsyncSqliteReaderFactory, SqliteRangeReaderFactory,
                                         SqliteReaderFactory)
from shardyfusion.storage import FileBackend
from shardyfusion.testing import ListMetricsCollector

OURS = SqliteReaderFactory()


def of_a_user(**options):
    """A factory that is none of ours as far as readers can tell."""
    return OURS(**options)


async def of_an_async_user(**options):
    return await AsyncSqliteReaderFactory()(**options)


@pytest.fixture(params=["sqlite", "slatedb"])
def published(request, place: Place) -> Place:
    """1,000 numbers in four shards."""
    place.publish(numbers(1000), adapter_factory=FORMATS[request.param]())
    return place


@pytest.fixture
def in_sqlite(place: Place) -> Place:
    place.publish(numbers(1000), adapter_factory=FORMATS["sqlite"]())
    return place


@pytest.fixture(params=["reader", "concurrent_reader", "foreign", "pool"])
def reader(request, in_sqlite: Place):
    """Every way to read with threads."""
    made = {"reader": lambda: in_sqlite.reader(), "concurrent_reader": lambda: in_sqlite.concurrent_reader(),
            "foreign": lambda: in_sqlite.reader(reader_factory=of_a_user, max_workers=2),
            "pool": lambda: in_sqlite.concurrent_reader(reader_factory=of_a_user, thread_safety="pool", max_workers=2)}[request.param]()
    with made:
        yield made


def test_every_key_is_found_in_both_formats(published: Place):
    with published.reader() as reader:
        assert all(reader.get(key) == value for key, value in numbers(1000).items())
        assert reader.get(1000) is None


def test_every_reader_finds_what_is_there_and_nothing_else(reader):
    assert reader.get(7) == b"value 7" and reader.get(key=8) == b"value 8"
    assert reader.get(5000) is None
    assert reader.multi_get([5, 3, 5, 5000]) == {5: b"value 5", 3: b"value 3", 5000: None}
    assert list(reader.multi_get([5, 3, 5, 5000])) == [5, 3, 5000]
    assert reader.multi_get([]) == {}


def test_a_call_with_wrong_arguments_is_a_type_error(in_sqlite: Place):
    with in_sqlite.reader() as reader:
        for call in (lambda: reader.get(), lambda: reader.get(1, 2), lambda: reader.get(1, context={}), lambda: reader.get(1, key=2)):
            with pytest.raises(TypeError):
                call()


def test_scans_give_keys_of_their_encoding_in_order(published: Place):
    with published.reader() as reader:
        assert [key for key, _ in reader.scan()] == list(range(1000))
        assert list(reader.scan(998)) == [(998, b"value 998"), (999, b"value 999")]
        assert [key for key, _ in reader.scan(start=3, end=6)] == [3, 4, 5]
        assert [key for key, _ in reader.scan_prefix(bytes(7) + b"\x07")] == [7]
        assert list(reader.scan(2000)) == []


def test_a_scan_stays_with_its_snapshot(in_sqlite: Place):
    with in_sqlite.reader() as reader:
        scan = reader.scan()
        assert next(scan) == (0, b"value 0")
        in_sqlite.publish({1: b"new"}, adapter_factory=FORMATS["sqlite"]())
        assert reader.refresh() is True
        assert next(scan) == (1, b"value 1")
    assert [key for key, _ in scan] == list(range(2, 1000))


def test_text_keys_are_scanned_by_prefix(place: Place):
    place.publish({"ab": b"1", "abc": b"2", "b": b"3", b"\xff": b"4"}, key_encoding="utf8")
    with place.reader() as reader:
        assert list(reader.scan_prefix("ab")) == [("ab", b"1"), ("abc", b"2")]
        assert list(reader.scan(start="b")) == [("b", b"3"), (b"\xff", b"4")]
        assert reader.get("abc") == reader.get(b"abc") == b"2"


def test_a_prefix_is_text_or_bytes(in_sqlite: Place):
    with in_sqlite.reader() as reader, pytest.raises(ConfigValidationError, match="str or bytes"):
        reader.scan_prefix(7)


def test_a_reader_describes_its_snapshot(reader):
    info = reader.snapshot_info()
    assert (info.num_dbs, info.row_count, info.key_encoding.value, info.sharding.value) == (4, 1000, "u64be", "hash")
    details = reader.shard_details()
    assert [detail.db_id for detail in details] == [0, 1, 2, 3] and sum(detail.row_count for detail in details) == 1000
    assert reader.key_encoding.value == "u64be"
    shard = reader.shard_for_key(7)
    assert shard.db_id == reader.route_key(7) and shard.min_key <= 7 <= shard.max_key
    assert reader.shards_for_keys([7, 8])[7] == shard


def test_an_empty_snapshot_has_all_its_shards_and_no_pairs(place: Place):
    place.publish({}, num_dbs=3)
    with place.reader() as reader:
        assert reader.get(1) is None and list(reader.scan()) == []
        assert [(detail.db_id, detail.row_count, detail.db_url) for detail in reader.shard_details()] == [
            (db_id, 0, None) for db_id in range(3)]
        assert reader.shard_for_key(1).row_count == 0


def test_health_tells_age_and_end(reader):
    health = reader.health(staleness_threshold=timedelta(hours=1))
    assert health.status == "healthy" and health.num_shards == 4 and not health.is_closed
    assert reader.health(staleness_threshold=timedelta(0)).status == "degraded"
    reader.close()
    assert reader.health().status == "unhealthy" and reader.health().is_closed


def test_refresh_follows_the_pointer(reader, in_sqlite: Place):
    assert reader.refresh() is False
    in_sqlite.publish({1: b"new"}, adapter_factory=FORMATS["sqlite"]())
    assert reader.get(1) == b"value 1"
    assert reader.refresh() is True
    assert reader.get(1) == b"new" and reader.get(2) is None and reader.snapshot_info().row_count == 1


def test_what_a_closed_reader_is_asked_is_a_state_error(reader):
    reader.close()
    reader.close()
    for call in (lambda: reader.get(1), lambda: reader.multi_get([1]), lambda: reader.scan(), lambda: reader.refresh(),
                 lambda: reader.snapshot_info(), lambda: reader.route_key(1), lambda: reader.reader_for_key(1), lambda: reader.key_encoding):
        with pytest.raises(ReaderStateError, match="closed"):
            call()


def test_handles_look_up_stored_keys(reader):
    stored = (7).to_bytes(8, "big")
    with reader.reader_for_key(7) as handle:
        assert handle.get(stored) == b"value 7" and handle.get(b"short") is None
        assert handle.multi_get([stored, b"short"]) == {stored: b"value 7", b"short": None}
    with pytest.raises(ReaderStateError, match="closed"):
        handle.get(stored)
    handles = reader.readers_for_keys([1, 2])
    assert handles[2].get((2).to_bytes(8, "big")) == b"value 2"
    for handle in handles.values():
        handle.close()


def test_a_forgotten_handle_is_told_in_the_log(in_sqlite: Place, caplog):
    with in_sqlite.reader() as reader, caplog.at_level(logging.ERROR, "shardyfusion"):
        handle = reader.reader_for_key(7)
        del handle
        gc.collect()
        assert "shard_reader_handle_not_closed" in caplog.text


def test_collectors_hear_of_every_call(in_sqlite: Place):
    collector = ListMetricsCollector()
    with in_sqlite.reader(metrics_collector=collector) as reader:
        assert reader.get(7) == b"value 7" and reader.get(5000) is None
        reader.multi_get([1, 2])
        reader.refresh()
    gets = collector.named(MetricEvent.READER_GET)
    assert [event["found"] for event in gets] == [True, False]
    assert all(isinstance(event["duration_ms"], float) and event["duration_ms"] > 0 for event in gets)
    assert collector.named(MetricEvent.READER_MULTI_GET)[0]["num_keys"] == 2
    assert collector.named(MetricEvent.READER_REFRESHED) == [{"changed": False}]
    assert len(collector.named(MetricEvent.READER_INITIALIZED)) == 1
    assert collector.named(MetricEvent.READER_CLOSED) == [{"num_handles": 0}]


def test_a_rate_limiter_is_asked_for_each_key(in_sqlite: Place):
    class Counting(ThreadSafeTokenBucket):
        taken: list[int] = []

        def acquire(self, n: int = 1) -> None:
            self.taken.append(n)

    with in_sqlite.reader(rate_limiter=Counting(1)) as reader:
        reader.get(1)
        reader.multi_get([1, 2, 3])
    assert Counting.taken == [1, 3]


def test_many_threads_share_a_reader(reader):
    wrong: list[int] = []

    def look(first: int) -> None:
        wrong.extend(key for key in range(first, 1000, 4) if reader.get(key) != b"value %d" % key)

    threads = [threading.Thread(target=look, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_pool_that_stays_empty_is_told(in_sqlite: Place):
    inside, done = threading.Event(), threading.Event()

    class Slow:
        def get(self, key: bytes) -> bytes | None:
            inside.set()
            done.wait(60)
            return b"slow"

        def close(self) -> None: ...

    with in_sqlite.concurrent_reader(reader_factory=lambda **options: Slow(), thread_safety="pool", max_workers=1,
                                     pool_checkout_timeout=timedelta(milliseconds=10)) as reader:
        thread = threading.Thread(target=reader.get, args=(7,))
        thread.start()
        assert inside.wait(60)
        with pytest.raises(PoolExhaustedError):
            reader.get(7)
        done.set()
        thread.join()


def test_what_a_user_s_reader_raises_is_a_shard_error_in_batches(in_sqlite: Place):
    class Broken:
        def get(self, key: bytes) -> bytes | None:
            raise OSError("no such disk")

        def close(self) -> None: ...

    with in_sqlite.reader(reader_factory=lambda **options: Broken()) as reader:
        with pytest.raises(DbAdapterError, match="no such disk"):
            reader.multi_get([1, 2])
        with pytest.raises(OSError, match="no such disk"):
            reader.get(1)


def test_users_shards_that_did_not_change_stay_open(in_sqlite: Place):
    opened: list[str] = []

    def counting(*, db_url: str, **options):
        opened.append(db_url)
        return OURS(db_url=db_url, **options)

    with in_sqlite.reader(reader_factory=counting) as reader:
        reader.multi_get(list(range(100)))
        assert len(opened) == 4
        store = S3ManifestStore(FileBackend(), in_sqlite.prefix)
        current = store.load_manifest(store.load_current().ref)
        store.publish(run_id="again", required_build=current.required_build, shards=current.shards, custom=current.custom)
        assert reader.refresh() is True
        reader.multi_get(list(range(100)))
        assert len(opened) == 4


@pytest.mark.parametrize("options", [{"max_workers": 0}, {"max_fallback_attempts": -1}])
def test_wrong_options_are_value_errors(in_sqlite: Place, options):
    with pytest.raises(ValueError):
        in_sqlite.reader(**options)


def test_wrong_options_of_the_concurrent_reader_are_value_errors(in_sqlite: Place):
    for options in ({"thread_safety": "hope"}, {"pool_checkout_timeout": timedelta(0)}):
        with pytest.raises(ValueError):
            in_sqlite.concurrent_reader(**options)


@pytest.mark.parametrize("factory", [SqliteReaderFactory(), SqliteRangeReaderFactory(page_cache_pages=64), AdaptiveSqliteReaderFactory(),
                                     AdaptiveSqliteReaderFactory(per_shard_threshold=1)])
def test_our_factories_are_settings_of_the_core(in_sqlite: Place, factory):
    with in_sqlite.reader(reader_factory=factory) as reader:
        assert reader._foreign is None
        assert reader.get(7) == b"value 7"


def test_a_policy_of_a_user_decides_how_shards_are_read(in_sqlite: Place):
    seen: list[list[int]] = []

    class Policy:
        def decide(self, db_bytes_per_shard):
            seen.append(list(db_bytes_per_shard))
            return "range"

    with in_sqlite.reader(reader_factory=AdaptiveSqliteReaderFactory(policy=Policy())) as reader:
        assert reader.get(7) == b"value 7"
    assert len(seen) == 1 and len(seen[0]) == 4 and min(seen[0]) > 0


def test_a_manifest_store_of_a_user_serves_our_shards(place: Place):
    store = InMemoryManifestStore()
    result = place.publish(numbers(100), manifest=WriterManifestConfig(store=store))
    assert result.manifest_ref.startswith("mem://")
    assert not (Path(place.prefix.removeprefix("file://")) / "_CURRENT").exists()
    with place.reader(manifest_store=store) as reader:
        assert reader.get(7) == b"value 7"
        place.publish({7: b"new"}, manifest=WriterManifestConfig(store=store))
        assert reader.refresh() is True and reader.get(7) == b"new"


def test_nothing_published_is_a_state_error(place: Place):
    with pytest.raises(ReaderStateError):
        place.reader()
    with pytest.raises(ReaderStateError):
        place.reader(reader_factory=of_a_user)
    with pytest.raises(ReaderStateError):
        run(place.async_reader())


@pytest.fixture(params=["ours", "foreign"])
def options(request):
    return {} if request.param == "ours" else {"reader_factory": of_an_async_user}


def test_tasks_find_what_is_there(in_sqlite: Place, options):
    async def look():
        async with await in_sqlite.async_reader(**options) as reader:
            assert await reader.get(7) == b"value 7" and await reader.get(5000) is None
            assert await reader.multi_get([3, 5000, 1]) == {3: b"value 3", 5000: None, 1: b"value 1"}
            values = await asyncio.gather(*(reader.get(key) for key in range(1000)))
            assert values == list(numbers(1000).values())
            assert reader.snapshot_info().row_count == 1000 and reader.health().status == "healthy"
            assert reader.route_key(7) == reader.shard_for_key(7).db_id and len(reader.shard_details()) == 4
            async with reader.reader_for_key(7) as handle:
                assert await handle.get((7).to_bytes(8, "big")) == b"value 7"
                assert await handle.multi_get([b"short"]) == {b"short": None}
            assert await reader.refresh() is False
            in_sqlite.publish({1: b"new"}, adapter_factory=FORMATS["sqlite"]())
            assert await reader.refresh() is True and await reader.get(1) == b"new"
        with pytest.raises(ReaderStateError, match="closed"):
            await reader.get(7)
        assert reader.health().is_closed

    run(look())


def test_tasks_scan(published: Place):
    async def look():
        async with await published.async_reader() as reader:
            assert [key async for key, _ in reader.scan()] == list(range(1000))
            assert [key async for key, _ in reader.scan(3, 5)] == [3, 4]
            assert [key async for key, _ in reader.scan_prefix(bytes(7) + b"\x07")] == [7]

    run(look())


def test_a_cancelled_task_leaves_the_reader_usable(in_sqlite: Place):
    async def look():
        async with await in_sqlite.async_reader(reader_factory=None) as reader:
            tasks = [asyncio.ensure_future(reader.multi_get(list(range(1000)))) for _ in range(20)]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await reader.get(7) == b"value 7"

    run(look())


def test_an_async_reader_that_is_not_open_says_so(place: Place):
    from shardyfusion import AsyncShardedReader

    reader = AsyncShardedReader(s3_prefix=place.prefix, local_root=place.local_root)
    assert reader.health().status == "unhealthy"
    with pytest.raises(ReaderStateError, match="not open"):
        run(reader.get(1))


def test_an_async_manifest_store_of_a_user_serves_our_shards(place: Place):
    class Store:
        def __init__(self, inner):
            self.inner = inner

        async def load_current(self):
            return self.inner.load_current()

        async def load_manifest(self, ref):
            return self.inner.load_manifest(ref)

        async def list_manifests(self, *, limit=10):
            return self.inner.list_manifests(limit=limit)

    inner = InMemoryManifestStore()
    place.publish(numbers(100), manifest=WriterManifestConfig(store=inner))

    async def look():
        async with await place.async_reader(manifest_store=Store(inner)) as reader:
            assert await reader.get(7) == b"value 7" and await reader.refresh() is False

    run(look())


def test_tasks_are_observed(in_sqlite: Place):
    collector = ListMetricsCollector()

    async def look():
        async with await in_sqlite.async_reader(metrics_collector=collector) as reader:
            await reader.get(7)
            await reader.multi_get([1])

    run(look())
    assert collector.named(MetricEvent.READER_GET)[0]["found"] is True
    assert [event for event, _ in collector.events][-1] is MetricEvent.READER_CLOSED


def test_an_unknown_token_has_no_shard(place: Place):
    from shardyfusion import CelShardedWriteConfig, PythonRecordInput
    from shardyfusion.writer.python import write_cel_sharded

    config = CelShardedWriteConfig(cel_expr="region", cel_columns={"region": "string"}, routing_values=["eu", "us"], s3_prefix=place.prefix)
    rows = [(1, "eu"), (2, "us")]
    write_cel_sharded(rows, config, PythonRecordInput(lambda row: row[0], lambda row: row[1].encode(), lambda row: {"region": row[1]}))
    with place.reader() as reader:
        assert reader.get(1, routing_context={"region": "eu"}) == b"eu"
        assert reader.get(1, routing_context={"region": "us"}) is None
        assert reader.get(1, routing_context={"region": "mars"}) is None
        assert reader.multi_get([1, 2], routing_context={"region": "us"}) == {1: None, 2: b"us"}
        with pytest.raises(UnknownRoutingTokenError):
            reader.route_key(1, routing_context={"region": "mars"})
        with pytest.raises(ValueError, match="region"):
            reader.get(1)


def test_lookups_go_on_while_a_store_of_the_user_s_is_asked(place: Place):
    store = InMemoryManifestStore()
    manifest = WriterManifestConfig(store=store)
    place.publish(dict.fromkeys(range(100), b"0"), manifest=manifest)
    stop, wrong = threading.Event(), []

    def look(reader) -> None:
        while not stop.is_set():
            values = set(reader.multi_get(list(range(100))).values())
            if len(values) != 1 or reader.get(7) is None:
                wrong.append(values)

    with place.concurrent_reader(manifest_store=store) as reader:
        threads = [threading.Thread(target=look, args=(reader,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(1, 20):
            place.publish(dict.fromkeys(range(100), b"%d" % turn), manifest=manifest)
            assert reader.refresh() is True
        stop.set()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads)
        assert wrong == [] and reader.get(7) == b"19"
