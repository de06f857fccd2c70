"""What earlier releases of the package got wrong, each with the better behaviour."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest
from snapshots import FORMATS, PAIRS_INPUT, Place, numbers, run

from shardyfusion import (CelShardedWriteConfig, ConfigValidationError, HashShardedWriteConfig, ManifestParseError, PythonRecordInput,
                          ReaderStateError, ShardyfusionError, TokenBucket)
from shardyfusion.errors import DbAdapterError
from shardyfusion.manifest_store import S3ManifestStore
from shardyfusion.metrics import MetricEvent
from shardyfusion.routing import canonical_bytes
from shardyfusion.storage import FileBackend
from shardyfusion.testing import ListMetricsCollector, fake_adapter_factory
from shardyfusion.writer.python import write_cel_sharded, write_hash_sharded


def path_of(url: str) -> Path:
    return Path(url.removeprefix("file://"))


def root(place: Place) -> Path:
    return path_of(place.prefix)


def test_a_limit_below_the_batch_size_slows_a_write_and_ends(place: Place):
    result = place.publish(numbers(30), max_writes_per_second=20, batch_size=30)
    assert result.stats.rows_written == 30


def test_a_lookup_of_more_keys_than_the_limit_ends(place: Place):
    place.publish(numbers(30))
    with place.reader(rate_limiter=TokenBucket(20)) as reader:
        assert len(reader.multi_get(list(range(30)))) == 30


def test_eight_bytes_are_the_number_that_they_store(place: Place):
    place.publish(numbers(100))
    with place.reader() as reader:
        stored = {key: key.to_bytes(8, "big") for key in range(100)}
        assert [reader.get(stored[key]) for key in range(100)] == list(numbers(100).values())
        assert reader.multi_get(list(stored.values())) == {stored[key]: value for key, value in numbers(100).items()}
        assert all(reader.route_key(stored[key]) == reader.route_key(key) for key in range(100))
        with pytest.raises(ValueError):
            reader.get(b"seven b")


def test_keys_that_are_no_text_can_be_published(place: Place):
    result = place.publish({b"\xff\x00": b"1", b"\xfe": b"2"}, key_encoding="raw", num_dbs=1)
    assert (result.winners[0].min_key, result.winners[0].max_key) == (b"\xfe", b"\xff\x00")
    with place.reader() as reader:
        assert reader.get(b"\xff\x00") == b"1"
        assert reader.shard_details()[0].min_key == b"\xfe"


def test_routing_values_of_bytes_stay_bytes(place: Place):
    config = CelShardedWriteConfig(cel_expr="tag", cel_columns={"tag": "bytes"}, routing_values=[b"a", b"\xff"], s3_prefix=place.prefix)
    taken = PythonRecordInput(lambda row: row[0], lambda row: row[1], lambda row: {"tag": row[1]})
    write_cel_sharded([(1, b"a"), (2, b"\xff")], config, taken)
    with place.reader() as reader:
        assert reader.get(1, routing_context={"tag": b"a"}) == b"a" and reader.get(2, routing_context={"tag": b"\xff"}) == b"\xff"


def test_a_place_without_a_pointer_is_a_state_error(place: Place):
    place.publish(numbers(1))
    (root(place) / "_CURRENT").unlink()
    with pytest.raises(ReaderStateError):
        place.reader()


def test_a_deleted_manifest_is_made_up_for_by_the_one_before(place: Place):
    place.publish({1: b"before"})
    lost = place.publish({1: b"lost"})
    path_of(lost.manifest_ref).unlink()
    with place.reader() as reader:
        assert reader.get(1) == b"before"
    with pytest.raises(ShardyfusionError):
        place.reader(max_fallback_attempts=0)


def test_a_damaged_manifest_is_made_up_for_by_the_one_before(place: Place):
    place.publish({1: b"before"})
    damaged = path_of(place.publish({1: b"damaged"}).manifest_ref)
    body = bytearray(damaged.read_bytes())
    body[len(body) // 2] ^= 1
    body[5000] ^= 0xFF
    damaged.write_bytes(body[: len(body) // 2])
    with place.reader() as reader:
        assert reader.get(1) == b"before"
    with pytest.raises(ManifestParseError):
        place.reader(max_fallback_attempts=0)


def test_only_damaged_manifests_are_a_state_error(place: Place):
    only = path_of(place.publish({1: b"x"}).manifest_ref)
    only.write_bytes(b"no manifest")
    with pytest.raises(ReaderStateError):
        place.reader()


def test_a_damaged_pointer_is_told(place: Place):
    place.publish({1: b"x"})
    (root(place) / "_CURRENT").write_bytes(b"{]")
    with pytest.raises(ShardyfusionError):
        place.reader(max_fallback_attempts=0)


def test_a_refresh_onto_a_damaged_manifest_keeps_the_old_snapshot(place: Place, caplog):
    place.publish({1: b"before"})
    with place.reader() as reader:
        path_of(place.publish({1: b"damaged"}).manifest_ref).write_bytes(b"no manifest")
        assert reader.refresh() is False and reader.get(1) == b"before"
    assert "reader_refresh_malformed_manifest" in caplog.text


def test_an_unsupported_version_is_refused_by_name(place: Place):
    manifest = path_of(place.publish({1: b"x"}).manifest_ref)
    with sqlite3.connect(manifest) as con:
        con.execute("UPDATE build_meta SET format_version = 9")
    with pytest.raises(ManifestParseError, match="9|check"):
        place.reader(max_fallback_attempts=0)


def test_a_failed_run_uploads_nothing_that_stays(place: Place):
    with pytest.raises(ConfigValidationError):
        write_hash_sharded([(1, b""), (-1, b"")], HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), PAIRS_INPUT)
    assert not list(root(place).glob("shards/**/*.db")) and not list(root(place).glob("manifests/*"))


def test_a_shard_that_is_cut_is_an_error_and_no_miss(place: Place):
    result = place.publish(numbers(1000), num_dbs=1, adapter_factory=FORMATS["sqlite"]())
    shard = path_of(result.winners[0].db_url) / "shard.db"
    shard.write_bytes(shard.read_bytes()[:8192])
    with place.reader() as reader, pytest.raises(DbAdapterError):
        [reader.get(key) for key in range(1000)]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_a_flipped_bit_is_an_error_and_no_value(place: Place, kind):
    result = place.publish(numbers(1000), num_dbs=1, adapter_factory=FORMATS[kind]())
    directory = path_of(result.winners[0].db_url)
    shard = max((path for path in directory.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    body = bytearray(shard.read_bytes())
    body[len(body) // 2] ^= 0x10
    shard.write_bytes(body)
    with place.reader() as reader, pytest.raises(DbAdapterError):
        assert reader.multi_get(list(range(1000))) == numbers(1000)


def test_a_shard_that_is_gone_is_an_error_and_no_miss(place: Place):
    result = place.publish(numbers(10), num_dbs=1)
    shutil.rmtree(path_of(result.winners[0].db_url))
    with place.reader() as reader, pytest.raises(DbAdapterError):
        reader.get(1)


@pytest.mark.parametrize("key", [-1, 2**63, 2**64, 2**200, None, 1.5, [1], "1"])
def test_keys_out_of_range_and_of_other_types_are_refused_on_both_sides(place: Place, key):
    place.publish(numbers(10))
    with place.reader() as reader:
        for call in (lambda: reader.get(key), lambda: reader.multi_get([key]), lambda: reader.route_key(key)):
            with pytest.raises(ValueError):
                call()
    with pytest.raises(ConfigValidationError):
        write_hash_sharded([(key, b"")], HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), PAIRS_INPUT)


def test_true_is_one(place: Place):
    place.publish({True: b"one", 0: b"zero"})
    with place.reader() as reader:
        assert reader.get(1) == reader.get(True) == b"one" and reader.get(False) == b"zero"


def test_text_that_is_no_unicode_is_refused(place: Place):
    place.publish({"a": b"1"}, key_encoding="utf8")
    with place.reader() as reader, pytest.raises(ValueError):
        reader.get("\ud800")


def test_mixed_keys_are_refused_with_their_row(place: Place):
    with pytest.raises(ConfigValidationError, match="row 1"):
        write_hash_sharded([(1, b""), ("one", b"")], HashShardedWriteConfig(num_dbs=2, s3_prefix=place.prefix), PAIRS_INPUT)


def test_two_publishers_at_once_leave_one_whole_snapshot(place: Place):
    done: list[str] = []

    def publish(value: bytes) -> None:
        done.append(place.publish(dict.fromkeys(range(200), value)).run_id)

    threads = [threading.Thread(target=publish, args=(b"%d" % n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    with place.reader() as reader:
        assert reader.snapshot_info().run_id in done
        assert len(set(reader.multi_get(list(range(200))).values())) == 1


def test_a_rollback_during_refreshes_shows_one_snapshot_or_the_other(place: Place):
    refs = [place.publish(dict.fromkeys(range(100), value)).manifest_ref for value in (b"one", b"two")]
    store = S3ManifestStore(FileBackend(), place.prefix)
    stop = threading.Event()

    def roll() -> None:
        turn = 0
        while not stop.is_set():
            store.set_current(refs[turn % 2])
            turn += 1

    thread = threading.Thread(target=roll)
    thread.start()
    changed = 0
    try:
        with place.concurrent_reader() as reader:
            for _ in range(300):
                changed += reader.refresh()
                assert set(reader.multi_get(list(range(100))).values()) in ({b"one"}, {b"two"})
    finally:
        stop.set()
        thread.join()
    assert changed > 0


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_readers_write_nothing_to_the_snapshot(place: Place, kind):
    place.publish(numbers(100), adapter_factory=FORMATS[kind]())
    before = sorted(root(place).rglob("*"))
    for path in before:
        os.chmod(path, stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    with place.reader() as reader:
        assert reader.multi_get(list(range(100))) == numbers(100) and reader.refresh() is False
    assert sorted(root(place).rglob("*")) == before
    for path in before:
        os.chmod(path, stat.S_IRWXU)


def test_a_shard_is_stored_once(place: Place):
    pairs = {key: bytes(100) for key in range(20000)}
    result = place.publish(pairs, adapter_factory=FORMATS["slatedb"]())
    stored = sum(path.stat().st_size for shard in result.winners for path in path_of(shard.db_url).rglob("*") if path.is_file())
    assert stored < 1.3 * 108 * len(pairs)


def test_durations_are_finer_than_a_millisecond(place: Place):
    place.publish(numbers(10))
    collector = ListMetricsCollector()
    with place.reader(metrics_collector=collector) as reader:
        reader.get(1)
    (event,) = collector.named(MetricEvent.READER_GET)
    assert 0 < event["duration_ms"] and isinstance(event["duration_ms"], float)


def test_parallel_writers_tell_their_events(place: Place):
    collector = ListMetricsCollector()
    place.publish(numbers(1000), num_dbs=8, metrics_collector=collector)
    assert len(collector.named(MetricEvent.SHARD_WRITE_COMPLETED)) == 8


def test_the_age_is_that_of_the_manifest(place: Place):
    place.publish(numbers(10))
    with place.reader() as reader:
        first = reader.health().manifest_age
        place.publish(numbers(10))
        assert reader.health().manifest_age >= first
        reader.refresh()
        assert reader.health().manifest_age <= datetime.now(timezone.utc) - reader.snapshot_info().created_at


def test_repeated_keys_count_once(place: Place):
    result = write_hash_sharded([(1, b"a")] * 5, HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix), PAIRS_INPUT)
    assert result.winners[0].row_count == 1 and result.stats.rows_written == 1


def test_a_lookup_that_waits_for_nothing_takes_no_thread(place: Place):
    place.publish(numbers(100), adapter_factory=FORMATS["sqlite"]())

    async def look():
        async with await place.async_reader() as reader:
            await reader.multi_get(list(range(100)))
            before = threading.active_count()
            values = await asyncio.gather(*(reader.get(key) for key in range(100)))
            return before, threading.active_count(), values

    before, after, values = run(look())
    assert before == after and values == list(numbers(100).values())


def test_an_adapter_sees_ascending_keys(place: Place):
    batches: list[list[bytes]] = []

    class Watching(type(fake_adapter_factory(db_url="x", local_dir=Path("x")))):
        def write_batch(self, pairs):
            pairs = list(pairs)
            batches.append([key for key, _ in pairs])
            super().write_batch(pairs)

    place.publish({key: b"" for key in (5, 3, 9, 1)}, num_dbs=1, batch_size=2, adapter_factory=Watching)
    assert [int.from_bytes(key, "big") for batch in batches for key in batch] == [1, 3, 5, 9]


def test_what_is_hashed_has_a_sign():
    assert canonical_bytes(-1) == b"\xff" * 8
    with pytest.raises(ValueError):
        canonical_bytes(2**63)
