"""Reading tables in a bucket: how many requests, how many round trips, broken answers, and copies on this machine's disk."""

from __future__ import annotations

import gc
import multiprocessing
import os
from pathlib import Path

import pyarrow as pa
import pytest
import s3_proxy

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True},
                                               {"id": 2, "name": "text", "type": "string"}])


@pytest.fixture
def proxy(server, monkeypatch, request):
    """A proxy before the server, and variables that lead through it to a prefix of its own."""
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATASHARD_STORAGE_TYPE", "s3")
    monkeypatch.setenv("DATASHARD_S3_PREFIX", request.node.name.replace("[", "-").replace("]", ""))
    with s3_proxy.before(int(server.endpoint.rsplit(":", 1)[1])) as running:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", running.endpoint)
        yield running
        gc.collect()  # handles that write their hint when they close


def ids(table, **how) -> list[int]:
    return sorted(row["id"] for row in table.scan(**how))


def append(table, first: int, count: int) -> None:
    table.append_records([{"id": number, "text": f"row {number}"} for number in range(first, first + count)], SCHEMA)


def round_trips(report: dict) -> int:
    """The longest chain of requests each of which began when the one before had ended."""
    chain, end = 0, float("-inf")
    for entry in sorted(report["requests"], key=lambda entry: entry["ended"]):
        if entry["began"] >= end:
            chain, end = chain + 1, entry["ended"]
    return chain


def data_requests(report: dict) -> list[dict]:
    return [entry for entry in report["requests"] if entry["path"].endswith(".parquet")]


def test_fifty_files_come_in_four_round_trips(proxy):
    table = datashard.create_table("t", SCHEMA)
    for number in range(50):
        append(table, number * 1000, 1000)
    assert len(ids(datashard.load_table("t"))) == 50_000  # leaves connections behind
    proxy.set_delay_ms(800)
    other = datashard.load_table("t")
    proxy.reset()
    found = other.to_arrow()
    report = proxy.report()
    assert sorted(found["id"].to_pylist()) == list(range(50_000))
    assert len(data_requests(report)) == 50, "each file is one request"
    lists_and_manifests = [entry for entry in report["requests"] if entry["path"].endswith(".avro")]
    assert len(lists_and_manifests) > 5, "its list and several manifests"
    assert set(report["counts"]) == {"GET", "HEAD"} and report["counts"]["HEAD"] == 1
    assert report["in_flight_max"] >= 25
    assert round_trips(report) <= 4


def test_a_small_file_costs_three_requests_and_a_look(proxy):
    append(datashard.create_table("t", SCHEMA), 0, 10)
    table = datashard.load_table("t")
    proxy.reset()
    assert ids(table) == list(range(10))
    assert proxy.report()["counts"] == {"HEAD": 1, "GET": 3}, "is it the newest; list, manifest, file"
    proxy.reset()
    assert ids(table) == list(range(10))
    assert proxy.report()["counts"] == {"HEAD": 1, "GET": 1}, "an unchanged list and its manifests are known"
    proxy.reset()
    assert table.row_count() == 10
    assert proxy.report()["counts"] == {"HEAD": 1}


def test_of_a_large_file_come_its_end_and_the_columns_asked_for(proxy):
    rows = 400_000
    noise = {f"c{n}": pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(os.urandom(8 * rows))]) for n in range(6)}
    schema = datashard.Schema(schema_id=1, fields=[{"id": n + 1, "name": f"c{n}", "type": "long"} for n in range(6)])
    datashard.create_table("t", schema).append_arrow(pa.table(noise))
    other = datashard.load_table("t")
    proxy.reset()
    assert other.to_arrow(columns=["c4"])["c4"].combine_chunks().equals(noise["c4"])
    read = data_requests(proxy.report())
    assert read[0]["range"] == "bytes=-65536"
    ranges = [tuple(map(int, entry["range"].removeprefix("bytes=").split("-"))) for entry in read[1:]]
    assert ranges and sum(last - first + 1 for first, last in ranges) < 1.3 * 8 * rows, "one column of six"
    assert len(ranges) <= 3


@pytest.mark.parametrize("fault", [{"fault": "reset", "after_bytes": 700}, {"fault": "cut", "after_bytes": 700}, {"fault": "reset_before"},
                                   {"fault": "error_before", "status": 503}, {"fault": "slow_body", "bytes_per_second": 40_000}],
                         ids=lambda fault: fault["fault"])
def test_broken_and_slow_bodies_are_read_all_the_same(proxy, fault):
    table = datashard.create_table("t", SCHEMA)
    for number in range(8):
        append(table, number * 1000, 1000)
    other = datashard.load_table("t")
    proxy.set_rules({"method": "GET", "path": "parquet|avro", "times": 4, **fault})
    assert ids(other) == list(range(8000))
    assert proxy.report()["fired"] == [4]


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("DATASHARD_S3_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entries(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def read_in_a_process(numbers) -> None:
    numbers.put(ids(datashard.load_table("t")))


def test_what_was_read_once_is_read_from_this_disk(proxy, cache):
    table = datashard.create_table("t", SCHEMA)
    for number in range(5):
        append(table, number * 100, 100)
    assert ids(datashard.load_table("t")) == list(range(500))
    assert entries(cache) and oct((cache / f"datashard-cache-{os.geteuid()}").stat().st_mode & 0o777) == "0o700"
    proxy.reset()
    context = multiprocessing.get_context("spawn")
    numbers = context.Queue()
    reader = context.Process(target=read_in_a_process, args=(numbers,))
    reader.start()
    assert numbers.get(timeout=60) == list(range(500))
    reader.join()
    asked = {entry["path"].rsplit("/", 1)[1] for entry in proxy.report()["requests"]}
    assert not any(name.endswith((".parquet", ".avro")) for name in asked), "another process reads what this one has fetched"
    assert any(name.endswith(".metadata.json") for name in asked), "what the newest version is, is always asked"

    append(table, 500, 100)
    assert ids(datashard.load_table("t")) == list(range(600)), "new rows are seen at once"


def test_a_damaged_cache_is_not_believed(proxy, cache):
    append(datashard.create_table("t", SCHEMA), 0, 1000)
    assert ids(datashard.load_table("t")) == list(range(1000))
    damaged = entries(cache)
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    table = datashard.load_table("t")
    assert ids(table) == list(range(1000))
    assert table.metrics()["datashard_cache_damaged_total"] == len(damaged)


def test_the_cache_keeps_to_its_budget(proxy, cache, monkeypatch):
    monkeypatch.setenv("DATASHARD_S3_CACHE_BYTES", str(1 << 20))
    table = datashard.create_table("t", SCHEMA)
    for number in range(60):
        table.append_records([{"id": number, "text": os.urandom(12_000).hex()}], SCHEMA)
    for _ in range(3):
        assert ids(datashard.load_table("t")) == list(range(60))
    assert 0 < sum(path.stat().st_size for path in entries(cache)) <= 1 << 20


def test_a_cache_that_cannot_be_used_is_no_error(proxy, monkeypatch, capfd):
    monkeypatch.setenv("DATASHARD_S3_CACHE_DIR", "/proc/no/such/place")
    append(datashard.create_table("t", SCHEMA), 0, 10)
    assert ids(datashard.load_table("t")) == list(range(10))
    assert "DATASHARD_S3_CACHE_DIR is not used" in capfd.readouterr().err
    monkeypatch.setenv("DATASHARD_S3_CACHE_BYTES", "1GiB")
    with pytest.raises(ValueError, match="DATASHARD_S3_CACHE_BYTES is '1GiB'"):
        datashard.load_table("t")
