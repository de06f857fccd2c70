"""Readers that are misused: wrong types, closed ones, forks, threads, several event loops, collection, full and read-only disks."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import stat
import threading
import time
import weakref
from datetime import timedelta
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from snapshots import FORMATS, PAIRS_INPUT, Place, numbers, run

from shardyfusion import (AsyncShardedReader, CelShardedWriteConfig, HashShardedWriteConfig, InMemoryManifestStore, PythonRecordInput,
                          ReaderStateError, ShardedReader, ShardyfusionError, TokenBucket, WriterManifestConfig)
from shardyfusion.credentials import apply_env_file
from shardyfusion.errors import ConfigValidationError, DbAdapterError
from shardyfusion.sqlite_adapter import AdaptiveSqliteReaderFactory, SqliteReaderFactory
from shardyfusion.writer.python import write_cel_sharded, write_hash_sharded


class Broken(Exception):
    """What code of the user's raises here."""


JUNK_KEYS = [None, 1.5, [1], {}, object(), "text", b"seven b", -1, 2**64, 10**5000, (1,), MagicMock(spec=[])]


@pytest.mark.parametrize("key", JUNK_KEYS, ids=lambda key: type(key).__name__)
def test_what_is_no_key_is_a_value_error(place: Place, key):
    place.publish(numbers(10))
    with place.reader() as plain, place.reader(rate_limiter=TokenBucket(1e6)) as observed:
        for reader in (plain, observed):
            for ask in (reader.get, reader.route_key, reader.shard_for_key, reader.reader_for_key, lambda key: reader.multi_get([1, key]),
                        lambda key: reader.shards_for_keys([key])):
                if key == -1 and ask in (reader.route_key, reader.shard_for_key):
                    continue
                try:
                    answer = ask(key)
                except (ValueError, TypeError):
                    continue
                assert not isinstance(answer, bytes)


@pytest.mark.parametrize("context", [5, "text", [("a", 1)], {1: 2}, {b"a": 1}, {"a": MagicMock()}, {"a": object()}, {"a": [1]}, {"b": 1}, {},
                                     {"a": 2**64}, {"a": "text"}, {"a": -1}])
def test_what_is_no_routing_context_is_a_value_error(place: Place, context):
    config = CelShardedWriteConfig(cel_expr="a", cel_columns={"a": "int"}, s3_prefix=place.prefix)
    write_cel_sharded([1, 0], config, PythonRecordInput(lambda row: row, lambda row: b"v", lambda row: {"a": row}))
    with place.reader() as reader:
        assert reader.get(1, routing_context={"a": 1}) == b"v"
        for ask in (reader.get, reader.route_key, lambda key, **how: reader.multi_get([key], **how)):
            with pytest.raises((ValueError, TypeError, AttributeError)):
                ask(1, routing_context=context)


@pytest.mark.parametrize("options", [{"s3_prefix": None}, {"s3_prefix": 5}, {"s3_prefix": ""}, {"s3_prefix": "ftp://x/y"}, {"s3_prefix": Path("x")},
                                     {"local_root": None}, {"local_root": 5}, {"current_pointer_key": 5}, {"max_workers": 2**40},
                                     {"slate_env_file": "/nowhere/at/all"}, {"manifest_store": object()}, {"reader_factory": 5},
                                     {"credential_provider": object(), "s3_prefix": "s3://b/p"}, {"s3_connection_options": {"x": 1}}])
def test_options_of_wrong_types_are_told(place: Place, options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place.publish(numbers(3))
    with pytest.raises((ValueError, TypeError, ShardyfusionError, OSError, AttributeError)):
        with ShardedReader(**{"s3_prefix": place.prefix, "local_root": place.local_root, **options}) as reader:
            reader.multi_get([0, 1, 2])
    assert not (tmp_path / "None").exists() and not (tmp_path / "5").exists()


def test_a_policy_of_nonsense_is_told(place: Place):
    class Policy:
        def decide(self, sizes):
            return "perhaps"

    place.publish(numbers(3), adapter_factory=FORMATS["sqlite"]())
    with pytest.raises(ConfigValidationError, match="perhaps"):
        place.reader(reader_factory=AdaptiveSqliteReaderFactory(policy=Policy()))


def test_a_threshold_may_be_for_ever(place: Place):
    place.publish(numbers(3))
    with place.reader() as reader:
        assert reader.health(staleness_threshold=timedelta.max).status == "healthy"
        assert reader.health(staleness_threshold=timedelta.min).status == "degraded"


CLOSED = [lambda r: r.get(1), lambda r: r.multi_get([1]), lambda r: r.multi_get([]), lambda r: list(r.scan()), lambda r: list(r.scan_prefix(b"")),
          lambda r: r.route_key(1), lambda r: r.shard_for_key(1), lambda r: r.shards_for_keys([1]), lambda r: r.reader_for_key(1),
          lambda r: r.snapshot_info(), lambda r: r.shard_details(), lambda r: r.refresh(), lambda r: r.key_encoding]


@pytest.mark.parametrize("factory", [None, SqliteReaderFactory(), lambda **how: SqliteReaderFactory()(**how)], ids=["found", "ours", "foreign"])
def test_every_question_to_a_closed_reader_is_a_state_error(place: Place, factory):
    place.publish(numbers(10), adapter_factory=FORMATS["sqlite"]())
    reader = place.reader(reader_factory=factory)
    scan = iter(reader.scan()) if factory is None else iter(())
    handle = reader.reader_for_key(1)
    reader.close()
    reader.close()
    for ask in CLOSED:
        with pytest.raises(ReaderStateError):
            ask(reader)
    assert reader.health().is_closed
    assert [*scan] == [] or factory is None
    handle.close()
    with pytest.raises(ReaderStateError):
        handle.get(b"x")


def test_a_reader_that_was_never_made_is_no_crash(place: Place):
    for make in (ShardedReader, AsyncShardedReader):
        reader = make.__new__(make)
        for name in ("get", "close", "snapshot_info"):
            try:
                answer = getattr(reader, name)(*([1] if name == "get" else []))
                if asyncio.iscoroutine(answer):
                    run(answer)
            except Exception:  # noqa: BLE001  (any but a crash)
                pass


def test_readers_that_nobody_closes_are_collected(place: Place, caplog):
    place.publish(numbers(100))
    open_before = len(os.listdir("/proc/self/fd"))

    async def leave_open():
        reader = await place.async_reader()
        assert await reader.get(1) == b"value 1"

    for _ in range(20):
        reader = place.reader()
        reader.me = reader  # a cycle
        assert reader.multi_get(range(100)) == numbers(100)
        handle = reader.reader_for_key(1)
        scan = reader.scan()
        next(scan)
        del reader, handle, scan
        run(leave_open())
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= open_before + 5
    assert caplog.messages.count("shard_reader_handle_not_closed") == 20


def test_a_reader_that_its_own_store_leads_to_is_collected(place: Place):
    class Store(InMemoryManifestStore):
        pass

    store = Store()
    place.publish(numbers(10), manifest=WriterManifestConfig(store=store))
    store.reader = place.reader(manifest_store=store)
    gone = weakref.ref(store)
    assert store.reader.get(1) == b"value 1"
    del store
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_fork_child_reads_with_its_parent_s_reader(place: Place, shard_format):
    pairs = numbers(5000)
    place.publish(pairs, adapter_factory=FORMATS[shard_format]())
    with place.concurrent_reader(max_workers=4) as reader:
        assert reader.multi_get(list(pairs)) == pairs
        stop = threading.Event()
        busy = [threading.Thread(target=lambda: [reader.multi_get(list(pairs)) for _ in iter(stop.is_set, True)]) for _ in range(2)]
        for thread in busy:
            thread.start()
        try:
            for _ in range(5):
                child = os.fork()
                if child == 0:
                    code = 1
                    try:
                        good = reader.multi_get(list(pairs)) == pairs and reader.get(7) == b"value 7" and not reader.refresh()
                        good = good and sum(1 for _ in reader.scan()) == len(pairs)
                        code = 0 if good else 2
                    finally:
                        os._exit(code)
                deadline = time.monotonic() + 30
                while (ended := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
                    time.sleep(0.01)
                if ended[0] == 0:
                    os.kill(child, 9)
                    os.waitpid(child, 0)
                assert ended == (child, 0)
        finally:
            stop.set()
            for thread in busy:
                thread.join()


def test_two_readers_share_a_local_root(place: Place):
    pairs = numbers(500)
    place.publish(pairs, adapter_factory=FORMATS["sqlite"]())
    readers = [place.reader() for _ in range(2)]
    other = Place(place.prefix + "-other", place.local_root)
    other.publish({key: b"other" for key in pairs}, adapter_factory=FORMATS["sqlite"]())
    readers.append(other.reader())
    assert readers[0].multi_get(list(pairs)) == readers[1].multi_get(list(pairs)) == pairs
    assert set(readers[2].multi_get(list(pairs)).values()) == {b"other"}
    readers[0].close()
    assert readers[1].get(3) == b"value 3"
    for reader in readers:
        reader.close()


def test_a_read_only_snapshot_is_read_and_not_written(place: Place, tmp_path):
    place.publish(numbers(10))
    root = Path(place.prefix.removeprefix("file://"))
    modes = {path: path.stat().st_mode for path in [root, *root.rglob("*")]}
    for path in modes:
        path.chmod(stat.S_IRUSR | (stat.S_IXUSR if path.is_dir() else 0))
    try:
        with place.reader() as reader:
            assert reader.multi_get(range(10)) == numbers(10)
        if os.getuid() != 0:
            with pytest.raises((ShardyfusionError, OSError)):
                place.publish(numbers(3))
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def in_a_child(act) -> int:
    """The exit code of `act` in a process of its own: 0 where it returns true."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if act() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_full_disk_ends_a_write_and_leaves_the_snapshot_before(place: Place):
    place.publish(numbers(100))

    def write_too_much() -> bool:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, 256 << 10))
        try:
            place.publish({key: os.urandom(100) for key in range(20_000)}, num_dbs=2)
        except (ShardyfusionError, OSError):
            return True
        return False

    assert in_a_child(write_too_much) == 0
    with place.reader() as reader:
        assert reader.multi_get(range(100)) == numbers(100) and reader.snapshot_info().row_count == 100
    root = Path(place.prefix.removeprefix("file://"))
    assert len({path.relative_to(root).parts[1] for path in (root / "shards").rglob("*") if path.is_file()}) == 1


class BrokenReader:
    def __init__(self, error, at):
        self.error, self.at, self.closed = error, at, 0

    def get(self, key):
        if self.at == "get":
            raise self.error
        return b"theirs"

    def close(self):
        self.closed += 1
        if self.at == "close":
            raise self.error


def test_a_shard_that_cannot_be_closed_keeps_no_other_open(place: Place, caplog):
    place.publish(numbers(100))
    made = []

    def factory(**_):
        made.append(BrokenReader(Broken("close"), "close"))
        return made[-1]

    reader = place.reader(reader_factory=factory)
    assert set(reader.multi_get(range(100)).values()) == {b"theirs"} and len(made) == 4
    reader.close()
    assert [shard.closed for shard in made] == [1] * 4
    assert caplog.messages.count("shard_reader_close_failed") == 4


@pytest.mark.parametrize("error", [Broken("b"), KeyboardInterrupt(), SystemExit(1)], ids=lambda error: type(error).__name__)
def test_what_a_factory_raises_leaves_the_reader_usable(place: Place, error):
    place.publish(numbers(100))
    state = {"broken": True}

    def factory(**_):
        if state["broken"]:
            raise error
        return BrokenReader(None, "")

    with place.reader(reader_factory=factory) as reader:
        for ask in (lambda: reader.get(1), lambda: reader.multi_get(range(10))):
            with pytest.raises((DbAdapterError, type(error))):
                ask()
        state["broken"] = False
        assert reader.get(1) == b"theirs"


@pytest.mark.parametrize("answer", [5, "x", (1, 2), object(), Broken("b"), KeyError("k"), KeyboardInterrupt()], ids=lambda a: type(a).__name__)
@pytest.mark.parametrize("name", ["load_current", "load_manifest"])
def test_a_store_of_nonsense_is_an_error_and_no_crash(place: Place, name, answer):
    store = InMemoryManifestStore()
    place.publish(numbers(3), manifest=WriterManifestConfig(store=store))

    def broken(*_, **__):
        if isinstance(answer, BaseException):
            raise answer
        return answer

    with place.reader(manifest_store=store) as reader:
        setattr(store, name, broken)
        try:
            reader.refresh()
        except (Exception, KeyboardInterrupt):  # noqa: BLE001  (any but a crash)
            pass
        assert reader.get(1) == b"value 1"
    with pytest.raises((ShardyfusionError, Broken, KeyError, KeyboardInterrupt, AttributeError)):
        place.reader(manifest_store=store, max_fallback_attempts=0)


class Limiter:
    def __init__(self, error):
        self.error = error

    def acquire(self, n=1):
        raise self.error

    try_acquire = acquire

    async def acquire_async(self, n=1):
        raise self.error


def test_what_a_limiter_raises_comes_back(place: Place):
    place.publish(numbers(10))
    with place.reader(rate_limiter=Limiter(Broken("l"))) as reader:
        for ask in (lambda: reader.get(1), lambda: reader.multi_get([1])):
            with pytest.raises(Broken):
                ask()

    async def read():
        async with await place.async_reader(rate_limiter=Limiter(Broken("l"))) as reader:
            with pytest.raises(Broken):
                await reader.get(1)

    run(read())


class AsyncStore:
    def __init__(self, store):
        self._store = store

    async def load_current(self):
        await asyncio.sleep(0)
        return self._store.load_current()

    async def load_manifest(self, ref):
        return self._store.load_manifest(ref)

    async def list_manifests(self, *, limit=10):
        return self._store.list_manifests(limit=limit)


def within(seconds: float, call) -> None:
    """Runs `call` in a thread; a call that hangs is a failure and no hanging test."""
    ended = []
    thread = threading.Thread(target=lambda: ended.append(call()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert ended, f"not done within {seconds} s, or failed"


@pytest.mark.parametrize("factory", [None, "foreign"])
def test_a_reader_outlives_the_event_loop_it_was_opened_in(place: Place, factory):
    store = InMemoryManifestStore()
    place.publish(numbers(10), manifest=WriterManifestConfig(store=store), adapter_factory=FORMATS["sqlite"]())

    async def foreign(**how):
        from shardyfusion.sqlite_adapter import AsyncSqliteReaderFactory

        return await AsyncSqliteReaderFactory()(**how)

    first = asyncio.new_event_loop()
    options = {} if factory is None else {"reader_factory": foreign}
    reader = first.run_until_complete(place.async_reader(manifest_store=AsyncStore(store), **options))
    handle = reader.reader_for_key(1)
    assert first.run_until_complete(reader.get(1)) == b"value 1"
    place.publish({key: b"new" for key in range(10)}, manifest=WriterManifestConfig(store=store), adapter_factory=FORMATS["sqlite"]())

    async def go_on():
        assert await reader.refresh()
        assert await reader.multi_get(range(10)) == {key: b"new" for key in range(10)}

    within(30, lambda: (run(go_on()), True))
    first.close()
    handle.close()
    within(30, lambda: (run(reader.close()), True))


def test_event_loops_of_several_threads_share_a_reader(place: Place):
    pairs = numbers(1000)
    place.publish(pairs)
    reader = run(place.async_reader(max_concurrency=2))
    failures = []

    async def read():
        found = await asyncio.gather(*(reader.get(key) for key in pairs), reader.multi_get(list(pairs)), reader.refresh())
        assert found[:-2] == list(pairs.values()) and found[-2] == pairs and found[-1] is False

    def work():
        try:
            for _ in range(3):
                run(read())
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run(reader.close())
    assert failures == []


def test_cancelled_tasks_leave_nothing_behind(place: Place):
    place.publish(numbers(2000))

    async def read():
        async with await place.async_reader(max_concurrency=1) as reader:
            for wait_s in (0, 0.0001, 0.001):
                tasks = [asyncio.ensure_future(reader.multi_get(range(2000))) for _ in range(20)]
                await asyncio.sleep(wait_s)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            assert await reader.get(5) == b"value 5"
        opening = asyncio.ensure_future(place.async_reader())
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    run(read())


def test_closing_beside_lookups_and_refreshes_is_no_crash(place: Place):
    pairs = numbers(300)
    place.publish(pairs)
    for _ in range(10):
        reader = place.concurrent_reader()
        failures = []

        def look(reader=reader, failures=failures):
            try:
                while True:
                    assert reader.multi_get(list(pairs)) == pairs and reader.get(7) == b"value 7"
                    reader.refresh()
            except ReaderStateError:
                pass
            except BaseException as error:  # noqa: BLE001
                failures.append(error)

        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        reader.close()
        for thread in threads:
            thread.join()
        assert failures == []


def test_the_environment_changes_while_places_are_opened(place: Place):
    place.publish(numbers(10))
    stop = threading.Event()

    def disturb():
        number = 0
        while not stop.is_set():
            number += 1
            os.environ[f"AWS_NONSENSE_{number % 50}"] = "x" * (number % 500)
            os.environ.pop(f"AWS_NONSENSE_{(number * 7) % 50}", None)

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        for _ in range(30):
            with place.reader() as reader:
                assert reader.get(3) == b"value 3"
            with pytest.raises((ShardyfusionError, OSError)):
                ShardedReader(s3_prefix="s3://bucket/p", local_root=place.local_root, s3_connection_options={
                    "endpoint_url": "http://127.0.0.1:9", "max_attempts": 1, "connect_timeout": 1})
    finally:
        stop.set()
        thread.join()
        for name in [name for name in os.environ if name.startswith("AWS_NONSENSE_")]:
            del os.environ[name]


def test_an_env_file_is_applied_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "before")
    monkeypatch.delenv("S3_ACCESS_KEY_ID", raising=False)
    (tmp_path / "env").write_text("AWS_REGION=within\nS3_ACCESS_KEY_ID=key\n")
    with pytest.raises(Broken), apply_env_file(str(tmp_path / "env")):
        assert (os.environ["AWS_REGION"], os.environ["S3_ACCESS_KEY_ID"]) == ("within", "key")
        raise Broken
    assert os.environ["AWS_REGION"] == "before" and "S3_ACCESS_KEY_ID" not in os.environ
    with apply_env_file(None):
        assert os.environ["AWS_REGION"] == "before"


def events_of(caplog, *names):
    return [record.getMessage() for record in caplog.records if record.getMessage() in names]


def test_a_fallback_is_told_in_the_log(place: Place, caplog):
    results = [place.publish(numbers(count)) for count in (1, 2, 3)]
    refs = [Path(result.manifest_ref.removeprefix("file://")) for result in results]
    refs[2].write_bytes(b"damaged")
    refs[1].unlink()
    names = ("reader_cold_start_fallback", "reader_fallback_skip_malformed", "reader_fallback_succeeded", "reader_initialized")
    with caplog.at_level(logging.INFO, "shardyfusion"), place.reader() as reader:
        assert reader.snapshot_info().row_count == 1
    told = [record for record in caplog.records if record.getMessage() in names]
    assert [record.getMessage() for record in told][0] == names[0] and [record.getMessage() for record in told][-2:] == list(names[2:])
    assert told[0].shardyfusion["manifest_ref"] == results[2].manifest_ref and told[0].shardyfusion["problem"]
    assert told[-2].shardyfusion["manifest_ref"] == results[0].manifest_ref
    refs[0].write_bytes(b"damaged as well")
    caplog.clear()
    with pytest.raises(ReaderStateError):
        place.reader()
    assert events_of(caplog, *names) == ["reader_cold_start_fallback"]
    with pytest.raises(ReaderStateError):
        Place(place.prefix + "-nothing", place.local_root).reader()
    assert "reader_current_not_found" in caplog.messages


def test_a_write_tells_of_winners_losers_and_failures(place: Place, caplog):
    with caplog.at_level(logging.INFO, "shardyfusion"):
        result = place.publish(numbers(100), num_dbs=2)
    told = {record.getMessage(): record.shardyfusion for record in caplog.records}
    assert events_of(caplog, "winner_selected") == ["winner_selected"] * 2
    assert told["winner_selected"]["db_url"] in [shard.db_url for shard in result.winners]
    assert told["losers_cleanup_completed"]["num_losers"] == 0
    caplog.clear()

    class Store(InMemoryManifestStore):
        def publish(self, **_):
            raise Broken("no")

    with caplog.at_level(logging.INFO, "shardyfusion"), pytest.raises(ShardyfusionError):
        place.publish(numbers(100), num_dbs=2, manifest=WriterManifestConfig(store=Store()))
    assert events_of(caplog, "manifest_publish_failed", "loser_attempt_cleaned", "write_failed") == [
        "manifest_publish_failed", "loser_attempt_cleaned", "loser_attempt_cleaned", "write_failed"]
    caplog.clear()

    def factory(**_):
        raise Broken("no")

    with caplog.at_level(logging.INFO, "shardyfusion"), pytest.raises(ShardyfusionError):
        write_hash_sharded(numbers(9).items(), HashShardedWriteConfig(num_dbs=1, s3_prefix=place.prefix, adapter_factory=factory), PAIRS_INPUT)
    assert events_of(caplog, "shard_write_failed") == ["shard_write_failed"]
