"""Tables in a bucket of a real S3 server: the same calls, other environment variables."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import s3_proxy

import datashard

TESTS = Path(__file__).resolve().parents[1]
SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])


def ids(table) -> list[int]:
    return sorted(row["id"] for row in table.scan())


def requests(table, since: dict | None = None) -> dict[str, float]:
    """Requests by operation, and `all` of them, since an earlier answer of table.metrics()."""
    since = since or {}
    made = {}
    for name, sum_ in table.metrics().items():
        operation, is_count, _ = name.removeprefix("datashard_s3_").partition("requests_total")
        if name.startswith("datashard_s3_") and is_count and sum_ > since.get(name, 0):
            made[operation.removesuffix("_") or "all"] = sum_ - since.get(name, 0)
    return made


def test_create_append_scan_travel(bucket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = datashard.create_table("logs/web", SCHEMA)
    assert table.created and table.location.startswith("s3://")
    table.append_records([{"id": 1}])
    then = table.current_snapshot().snapshot_id
    with table.new_transaction() as transaction:
        transaction.append_data([{"id": 2}], SCHEMA)
    assert ids(table) == [1, 2] == ids(datashard.load_table("logs/web")) == ids(datashard.load_table(table.location))
    assert [row["id"] for row in table.scan(snapshot_id=then)] == [1]
    assert ids(pickle.loads(pickle.dumps(table))) == [1, 2]
    assert list(tmp_path.iterdir()) == [], "nothing local is made"


def test_requests_of_the_warm_paths(bucket):
    table = datashard.create_table("t", SCHEMA)
    table.append_records([{"id": 0}])  # finds out whether the server refuses to overwrite
    before = table.metrics()
    table.append_records([{"id": 1}])
    made = requests(table, before)
    assert made.pop("put") in (4, 5), "data, manifest and list at once, then the version; perhaps the hint"
    assert made.keys() == {"all"}
    before = table.metrics()
    assert table.schema is not None
    made = requests(table, before)
    assert made.get("head") == 1 and "get" not in made, "a refresh is one request"

    del table
    gc.collect()  # the hint is written when the handle closes, if not before
    other = datashard.load_table("t")
    assert requests(other)["all"] <= 3
    before = other.metrics()
    assert ids(other) == [0, 1]
    made = requests(other, before)
    assert made["all"] <= 1 + 1 + 2 * 2, "a refresh, the list, and for each file its manifest and its rows"


def append(path: str, first: int, count: int) -> None:
    table = datashard.load_table(path)
    for number in range(first, first + count):
        assert table.append_records([{"id": number}])


def write_at_once(writer: Callable[[str, int, int], None], processes: int, count: int) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=writer, args=("t", 1000 * n, count)) for n in range(processes)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
        assert process.exitcode == 0


def test_processes_lose_nothing(bucket):
    datashard.create_table("t", SCHEMA)
    write_at_once(append, 4, 25)
    assert ids(datashard.load_table("t")) == sorted(1000 * n + k for n in range(4) for k in range(25))


def lonely(path: str, first: int, count: int) -> None:
    """As a process of another host: it meets nobody in a ring."""
    os.environ["AWS_PROFILE"] = f"host-{first}"
    table = datashard.load_table(path)
    for number in range(first, first + count):
        table.append_records([{"id": number}])


def test_writers_that_share_no_ring_lose_nothing(bucket):
    datashard.create_table("t", SCHEMA, properties={"datashard.group-commit": "off"})
    write_at_once(lonely, 3, 15)
    assert ids(datashard.load_table("t")) == sorted(1000 * n + k for n in range(3) for k in range(15))


def from_another_host(number: int, path: str, count: int, told: multiprocessing.Queue) -> None:
    """Processes with different umasks share no ring, as if each had a host to itself."""
    os.umask(number)
    table = datashard.load_table(path)
    for row in range(count):
        table.append_records([{"id": 1000 * number + row}])
    told.put(table.metrics())


@pytest.mark.parametrize("across_hosts", ["auto", "off"])
def test_hosts_that_race_lose_nothing(bucket, across_hosts):
    properties = {"datashard.group-commit-across-hosts": across_hosts}
    datashard.create_table("t", SCHEMA, properties=properties)
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    hosts = [context.Process(target=from_another_host, args=(n, "t", 20, told)) for n in range(6)]
    for host in hosts:
        host.start()
    metrics = [told.get(timeout=120) for _ in hosts]
    for host in hosts:
        host.join()
        assert host.exitcode == 0
    table = datashard.load_table("t")
    assert ids(table) == sorted(1000 * n + k for n in range(6) for k in range(20))
    handed_over = sum(sums.get("datashard_pending_groups_total", 0) for sums in metrics)
    assert (handed_over > 0) == (across_hosts == "auto"), "six hosts are a crowd"


def test_a_wrong_word_for_group_commit_across_hosts_is_named(bucket):
    with pytest.raises(ValueError, match="'yes'; expected 'auto' or 'off'"):
        datashard.create_table("t", SCHEMA, properties={"datashard.group-commit-across-hosts": "yes"})


@pytest.mark.parametrize("fault", ["lose_answer", "error_before", "error_after"])
def test_answers_that_get_lost_leave_every_row_once(bucket, monkeypatch, fault):
    port = int(bucket.endpoint.rsplit(":", 1)[1])
    rules = [{"method": "PUT", "probability": 0.2, "fault": fault}]
    datashard.create_table("t", SCHEMA)
    with s3_proxy.before(port, rules=rules, seed=7) as proxy:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", proxy.endpoint)
        table = datashard.load_table("t")
        told = []
        for number in range(30):
            try:
                table.append_records([{"id": number}])
                told.append(number)
            except datashard.CommitUnknown:
                pass
        assert sum(proxy.report()["fired"]) > 0, "no fault fired"
    monkeypatch.setenv("DATASHARD_S3_ENDPOINT", bucket.endpoint)
    found = ids(datashard.load_table("t"))
    assert len(found) == len(set(found)) and set(told) <= set(found)


def test_what_is_set_wrong_is_named(bucket, monkeypatch):
    with pytest.raises(ValueError, match="No Iceberg table found at s3://"):
        datashard.load_table("nothing/here")
    monkeypatch.setenv("DATASHARD_S3_SECRET_KEY", "wrong")
    with pytest.raises(datashard.DataShardError, match="s3://.*") as refused:
        datashard.load_table("t")
    assert "wrong" not in str(refused.value).split("s3://")[0], "no key is shown"
    monkeypatch.delenv("DATASHARD_S3_BUCKET")
    with pytest.raises(ValueError, match="DATASHARD_S3_BUCKET"):
        datashard.load_table("t")
    with pytest.raises(ValueError, match="directory or s3://"):
        datashard.load_table("gs://bucket/t")


def test_the_command_line(bucket):
    command = [sys.executable, "-c", "import hashlib, datashard; t = datashard.create_table('c'); "
               "t.append_records([{'id': 5}]); print(hashlib.sha256(b'x').hexdigest()[:8], t.row_count())"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "2d711642 1\n", done.stderr
    shell = os.environ.get("DATASHARD_COMMAND", str(TESTS.parent / "build/release/cli/datashard"))
    counted = subprocess.run([shell, "count", "c"], capture_output=True, text=True, timeout=60)
    assert counted.stdout.strip() == "1", counted.stderr


@pytest.mark.slow
def test_the_packages_own_tests_with_nothing_but_other_variables(bucket):
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not long", str(TESTS / "python")],
                          capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-1000:]
