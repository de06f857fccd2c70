"""Rows and user code that misbehave: what is not wholly good is not published, leaves no local files, and its run is recorded as failed."""

from __future__ import annotations

import gc
import os
import signal
import threading
from pathlib import Path

import pytest
import yaml
from snapshots import FORMATS, PAIRS_INPUT, Place, numbers

from shardyfusion import (CelShardedWriteConfig, ColumnWriteInput, HashShardedWriteConfig, PythonRecordInput, ValueSpec, WriterManifestConfig,
                          WriterOutputConfig)
from shardyfusion.errors import ConfigValidationError, PublishManifestError, ShardWriteError, ShardyfusionError
from shardyfusion.manifest_store import InMemoryManifestStore
from shardyfusion.testing import fake_adapter_factory
from shardyfusion.writer.python import write_cel_sharded, write_hash_sharded


class Broken(Exception):
    """What code of the user's raises here."""


def root(place: Place) -> Path:
    return Path(place.prefix.removeprefix("file://"))


def config(place: Place, tmp_path: Path, **options) -> HashShardedWriteConfig:
    options = {"num_dbs": 3, "output": WriterOutputConfig(local_root=str(tmp_path / "spill")), **options}
    return HashShardedWriteConfig(s3_prefix=place.prefix, **options)


def check_nothing_happened(place: Place, tmp_path: Path, *, recorded: bool = True) -> None:
    left = [path for path in root(place).rglob("*") if path.is_file() and path.name != "run.yaml"]
    assert left == [], left
    assert [path for path in (tmp_path / "spill").rglob("*") if path.is_file()] == []
    records = [yaml.safe_load(path.read_text()) for path in root(place).rglob("run.yaml")]
    assert [record["status"] for record in records] == ["failed"] * (1 if recorded else 0)


def raises_at(number: int, error: BaseException, value=b"v"):
    def function(row):
        if row == number:
            raise error
        return row if value is None else value

    return function


def rows_that_end_in(error: BaseException):
    for number in range(5000):
        yield number
    raise error


ERRORS = [Broken("b"), ValueError("v"), KeyError("k"), StopIteration("s"), GeneratorExit(), SystemExit(3), KeyboardInterrupt(), MemoryError(),
          RecursionError("r"), OSError("o"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["key_fn", "value_fn", "columns_fn", "rows"])
def test_what_is_raised_half_way_comes_back_and_nothing_is_published(place: Place, tmp_path, error, where):
    ok = {"key_fn": lambda row: row, "value_fn": lambda row: b"v", "columns_fn": lambda row: {"a": row % 3}}
    broken = {"key_fn": raises_at(4000, error, None), "value_fn": raises_at(4000, error), "columns_fn": raises_at(4000, error, {"a": 1})}
    rows = range(5000)
    if where == "rows":
        rows = rows_that_end_in(RuntimeError("a generator cannot raise it") if isinstance(error, StopIteration) else error)
    else:
        ok[where] = broken[where]
    given = CelShardedWriteConfig(cel_expr="a", cel_columns={"a": "int"}, s3_prefix=place.prefix,
                                  output=WriterOutputConfig(local_root=str(tmp_path / "spill")))
    with pytest.raises(RuntimeError if where == "rows" and isinstance(error, StopIteration) else type(error)):
        write_cel_sharded(rows, given, PythonRecordInput(**ok))
    check_nothing_happened(place, tmp_path)


@pytest.mark.parametrize("value", [None, 5, "text", [1], object(), memoryview(b"abcdef")[::2], {}, 1.5])
def test_values_are_bytes_and_nothing_else(place: Place, tmp_path, value):
    taken = PythonRecordInput(lambda row: row, lambda row: value)
    if isinstance(value, memoryview):
        write_hash_sharded([1], config(place, tmp_path), taken)
        with place.reader() as reader:
            assert reader.get(1) == b"ace"
        return
    with pytest.raises((ConfigValidationError, TypeError)):
        write_hash_sharded([1], config(place, tmp_path), taken)
    check_nothing_happened(place, tmp_path)


@pytest.mark.parametrize("key", [None, 1.5, [1], {}, object(), -1, 2**63, 2**64, 10**5000, (1, 2), "text", b"bytes", bytearray(b"12345678")],
                         ids=lambda key: type(key).__name__)
def test_keys_are_of_the_encoding_and_nothing_else(place: Place, tmp_path, key):
    with pytest.raises(ConfigValidationError, match="row 1"):
        write_hash_sharded([1, key], config(place, tmp_path), PythonRecordInput(lambda row: row, lambda row: b"v"))
    check_nothing_happened(place, tmp_path)


class Evil(int):
    """An int that answers every question with an exception."""

    def __index__(self):
        raise Broken

    __str__ = __repr__ = __hash__ = __eq__ = __lt__ = __int__ = lambda *_: 1 / 0


def test_an_evil_int_is_its_number_or_an_error(place: Place, tmp_path):
    write_hash_sharded([Evil(7)], config(place, tmp_path), PythonRecordInput(lambda row: row, lambda row: b"v"))
    with place.reader() as reader:
        assert reader.get(7) == reader.get(Evil(7)) == b"v"


def test_numbers_of_numpy_are_numbers(place: Place, tmp_path):
    numpy = pytest.importorskip("numpy")
    write_hash_sharded(numpy.arange(100), config(place, tmp_path), PythonRecordInput(lambda row: row, lambda row: b"%d" % row))
    with place.reader() as reader:
        assert all(reader.get(numpy.int64(key)) == b"%d" % key for key in range(100))
        assert reader.multi_get(numpy.arange(3)) == {0: b"0", 1: b"1", 2: b"2"}


@pytest.mark.parametrize("shard_format", FORMATS)
def test_large_keys_and_values_are_stored_or_refused(place: Place, tmp_path, shard_format):
    pairs = {b"k" * size: b"v" * size for size in (1, 1000, 65_535)} | {b"large": b"x" * (8 << 20), b"none": b""}
    write_hash_sharded(pairs.items(), config(place, tmp_path, key_encoding="raw", adapter_factory=FORMATS[shard_format]()), PAIRS_INPUT)
    with place.reader() as reader:
        assert reader.multi_get(list(pairs)) == pairs


def test_a_key_beyond_the_format_is_refused(place: Place, tmp_path):
    with pytest.raises(ConfigValidationError, match="65535|65,535|65536"):
        write_hash_sharded([(b"k" * 100_000, b"")], config(place, tmp_path, key_encoding="raw"), PAIRS_INPUT)
    check_nothing_happened(place, tmp_path)


@pytest.mark.parametrize("rows", [[], iter(()), {}.items(), [(1, b"v")], [(1, b"a")] * 5000], ids=["none", "iterator", "items", "one", "same"])
def test_few_rows_make_a_snapshot(place: Place, tmp_path, rows):
    result = write_hash_sharded(rows, config(place, tmp_path), PAIRS_INPUT)
    with place.reader() as reader:
        assert result.stats.rows_written == reader.snapshot_info().row_count == (1 if result.winners else 0)
        assert reader.get(2) is None and len(reader.shard_details()) == 3


def test_ten_thousand_shards(place: Place, tmp_path):
    result = write_hash_sharded(numbers(20_000).items(), config(place, tmp_path, num_dbs=10_000), PAIRS_INPUT)
    assert len(result.winners) > 8_000 and result.stats.rows_written == 20_000
    with place.reader() as reader:
        assert reader.multi_get(range(0, 20_000, 97)) == {key: b"value %d" % key for key in range(0, 20_000, 97)}
        assert sum(1 for _ in reader.scan()) == 20_000


def test_a_description_of_one_s_own_does_not_stand_in_for_the_function(place: Place, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    spec = ValueSpec(lambda row: b"mine %d" % row["id"], "binary_col:blob")
    table = pyarrow.table({"id": [1, 2], "blob": [b"theirs", b"theirs"]})
    write_hash_sharded(table, config(place, tmp_path), ColumnWriteInput("id", spec))
    with place.reader() as reader:
        assert reader.get(1) == b"mine 1"


class BrokenAdapter:
    def __init__(self, place_of_error: str, error: BaseException) -> None:
        self.place_of_error, self.error = place_of_error, error
        self.entered, self.left = 0, []

    def _at(self, place: str) -> None:
        if place == self.place_of_error:
            raise self.error

    def __call__(self, *, db_url, local_dir):
        self._at("factory")
        return self

    def __enter__(self):
        self._at("enter")
        self.entered += 1
        return self

    def __exit__(self, kind, error, trace):
        self.left.append(kind)
        self._at("exit")

    def write_batch(self, pairs):
        self._at("write_batch")

    def flush(self):
        self._at("flush")

    def seal(self):
        self._at("seal")

    def db_bytes(self):
        self._at("db_bytes")
        return {"number": "many"}.get(self.place_of_error, 5)

    def close(self):
        pass


@pytest.mark.parametrize("error", [Broken("b"), KeyboardInterrupt(), SystemExit(2)], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["factory", "enter", "write_batch", "flush", "seal", "db_bytes", "exit"])
def test_an_adapter_that_fails_anywhere_ends_the_write(place: Place, tmp_path, where, error):
    adapter = BrokenAdapter(where, error)
    with pytest.raises(type(error) if not isinstance(error, Exception) else ShardyfusionError) as raised:
        write_hash_sharded(numbers(10).items(), config(place, tmp_path, num_dbs=1, adapter_factory=adapter), PAIRS_INPUT)
    assert isinstance(raised.value, type(error)) or isinstance(raised.value.__cause__, Broken)
    assert len(adapter.left) == adapter.entered, "an adapter that was entered is left"
    check_nothing_happened(place, tmp_path)


@pytest.mark.parametrize("factory", [lambda **_: None, lambda **_: 5, lambda: None, lambda **_: object()])
def test_a_factory_of_something_else_ends_the_write(place: Place, tmp_path, factory):
    with pytest.raises(ShardyfusionError):
        write_hash_sharded(numbers(10).items(), config(place, tmp_path, adapter_factory=factory), PAIRS_INPUT)
    check_nothing_happened(place, tmp_path)


class BrokenStore(InMemoryManifestStore):
    def __init__(self, name: str, answer: object) -> None:
        super().__init__()
        self._name, self._answer = name, answer

    def __getattribute__(self, name):
        if not name.startswith("_") and name == self._name:
            answer = self._answer
            if isinstance(answer, BaseException):
                def fail(*_, **__):
                    raise answer
                return fail
            return lambda *_, **__: answer
        return super().__getattribute__(name)


@pytest.mark.parametrize("answer", [Broken("b"), KeyboardInterrupt(), 5, None, object()], ids=lambda answer: type(answer).__name__)
def test_a_manifest_store_that_fails_publishes_nothing(place: Place, tmp_path, answer):
    given = config(place, tmp_path, manifest=WriterManifestConfig(store=BrokenStore("publish", answer)))
    with pytest.raises(KeyboardInterrupt if isinstance(answer, KeyboardInterrupt) else ShardyfusionError):
        write_hash_sharded(numbers(10).items(), given, PAIRS_INPUT)
    check_nothing_happened(place, tmp_path)


@pytest.mark.parametrize("answer", [Broken("b"), 5, None])
def test_a_registry_of_nonsense_ends_no_write_and_is_logged(place: Place, tmp_path, answer, caplog):
    class Registry:
        def create(self, record):
            if isinstance(answer, Exception):
                raise answer
            return answer

        update = load = create

    write_hash_sharded(numbers(10).items(), config(place, tmp_path, run_registry=Registry()), PAIRS_INPUT)
    assert not isinstance(answer, Exception) or "run_record_create_failed" in caplog.messages
    with place.reader() as reader:
        assert reader.get(1) == b"value 1"


class Collector:
    def __init__(self, error):
        self.error = error

    def emit(self, event, payload):
        raise self.error


def test_a_collector_that_raises_ends_no_write(place: Place, tmp_path):
    write_hash_sharded(numbers(10).items(), config(place, tmp_path, metrics_collector=Collector(Broken("b"))), PAIRS_INPUT)
    with place.reader(metrics_collector=Collector(Broken("b"))) as reader:
        assert reader.get(1) == b"value 1" and reader.multi_get([1, 2]) == {1: b"value 1", 2: b"value 2"} and not reader.refresh()


def test_a_signal_between_rows_ends_the_write(place: Place, tmp_path):
    def rows():
        for number in range(10_000):
            if number == 5_000:
                os.kill(os.getpid(), signal.SIGINT)
            yield number, b"v"

    with pytest.raises(KeyboardInterrupt):
        write_hash_sharded(rows(), config(place, tmp_path), PAIRS_INPUT)
    check_nothing_happened(place, tmp_path)


def test_a_write_inside_of_a_write(place: Place, tmp_path):
    inner = Place(place.prefix + "-inner", place.local_root)

    def value_of(pair):
        if pair[0] == 3:
            inner.publish(numbers(5))
            with inner.reader() as reader:
                return reader.get(4)
        return pair[1]

    write_hash_sharded(numbers(10).items(), config(place, tmp_path), PythonRecordInput(lambda pair: pair[0], value_of))
    with place.reader() as reader:
        assert reader.get(3) == b"value 4" and reader.get(5) == b"value 5"


def test_rows_are_collected_while_they_are_written(place: Place, tmp_path):
    def rows():
        for number in range(5_000):
            if number % 1_000 == 0:
                gc.collect()
            yield [number, bytearray(b"v%d" % number)]

    def value_of(row):
        value, row[1] = row[1], None
        return value

    write_hash_sharded(rows(), config(place, tmp_path), PythonRecordInput(lambda row: row[0], value_of))
    with place.reader() as reader:
        assert reader.get(4_999) == b"v4999"


def test_rows_that_other_threads_change_are_no_crash(place: Place, tmp_path):
    rows, stop = [(number, b"v") for number in range(20_000)], threading.Event()

    def disturb():
        while not stop.is_set():
            if len(rows) > 100:
                rows.pop()
            rows.append((len(rows), b"w" * 50))

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        write_hash_sharded(rows, config(place, tmp_path), PAIRS_INPUT)
    finally:
        stop.set()
        thread.join()


def test_a_terminal_that_goes_away_ends_no_write(place: Place, tmp_path, monkeypatch):
    class Terminal:
        def isatty(self):
            return True

        def write(self, text):
            raise BrokenPipeError

    for stream in (Terminal(), object(), None):
        monkeypatch.setattr("sys.stderr", stream)
        assert write_hash_sharded(numbers(3000).items(), config(place, tmp_path), PAIRS_INPUT).stats.rows_written == 3000


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises((ShardyfusionError, OSError)):
        Place(f"file://{blocked}/below", str(tmp_path)).publish(numbers(3))
    with pytest.raises((ShardyfusionError, OSError)):
        Place(f"file://{tmp_path}/ok", "").publish(numbers(3), adapter_factory=fake_adapter_factory,
                                                    output=WriterOutputConfig(local_root=str(blocked / "below")))


def test_the_classes_of_a_failed_write_are_what_programs_catch():
    from shardyfusion._failures import NotPublished

    assert issubclass(NotPublished, ShardWriteError) and issubclass(NotPublished, PublishManifestError)
