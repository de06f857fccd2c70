"""Records of runs, and the thread that keeps them alive."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from shardyfusion import (HashShardedWriteConfig, InMemoryRunRegistry, ManifestParseError, ReaderStateError, RunRecord, RunRecordLifecycle,
                          RunRegistry, RunStatus, S3RunRegistry)
from shardyfusion.run_registry import parse_run_record, resolve_run_registry, run_record_payload
from shardyfusion.storage import FileBackend, MemoryBackend

AT = datetime(2026, 11, 21, 7, 38, 13, 884350, tzinfo=timezone.utc)
RECORD = RunRecord(run_id="0f3c", writer_type="python", status=RunStatus.RUNNING, started_at=AT, updated_at=AT,
                   lease_expires_at=AT + timedelta(minutes=10), s3_prefix="s3://b/p", shard_prefix="shards", db_path_template="db={db_id:05d}")
TEXT = """\
db_path_template: db={db_id:05d}
error_message: null
error_type: null
format_version: 1
lease_expires_at: '2026-11-21T07:48:13.884350Z'
manifest_ref: null
run_id: 0f3c
s3_prefix: s3://b/p
shard_prefix: shards
started_at: '2026-11-21T07:38:13.884350Z'
status: running
updated_at: '2026-11-21T07:38:13.884350Z'
writer_type: python
"""


class Broken:
    """A registry that loses its bucket after `good` calls."""

    def __init__(self, good):
        self.good = good
        self.calls = 0

    def _call(self):
        self.calls += 1
        if self.calls > self.good:
            raise OSError("bucket gone")

    def create(self, record):
        self._call()
        return "ref"

    def update(self, ref, record):
        self._call()

    def load(self, ref):
        raise AssertionError


def config_of(registry=None, prefix="s3://b/p"):
    return HashShardedWriteConfig(num_dbs=2, s3_prefix=prefix, run_registry=registry)


def test_a_record_is_the_text_of_the_page_and_comes_back():
    assert run_record_payload(RECORD).decode() == TEXT
    assert parse_run_record(TEXT.encode()) == RECORD
    assert parse_run_record(TEXT.replace("'", "").encode()) == RECORD  # without quotes YAML makes times of them
    failed = RECORD.model_copy(update={"status": RunStatus.FAILED, "error_type": "OSError", "error_message": "line 1\nline: 2 'é'\x07"})
    assert parse_run_record(run_record_payload(failed)) == failed


@pytest.mark.parametrize("payload", [
    b"", b"\xff\xfe", b"a: [", b"- 1", b"!!python/object/apply:os.system ['true']", TEXT.replace("running", "paused").encode(),
    TEXT.replace("format_version: 1", "format_version: 2").encode(), TEXT.replace("run_id: 0f3c\n", "").encode(), b"[" * 10_000, b"#" * 2**17])
def test_a_damaged_record_is_refused(payload):
    with pytest.raises(ManifestParseError):
        parse_run_record(payload)


@pytest.mark.parametrize("kind", ["memory", "bucket", "directory"])
def test_a_registry_keeps_records(kind, tmp_path):
    registry = {"memory": InMemoryRunRegistry, "bucket": lambda: S3RunRegistry(MemoryBackend(), "s3://b/p"),
                "directory": lambda: S3RunRegistry(FileBackend(), f"file://{tmp_path}/p", run_registry_prefix="r")}[kind]()
    assert isinstance(registry, RunRegistry)
    first, second = registry.create(RECORD), registry.create(RECORD)
    assert first != second and registry.load(first) == RECORD
    done = RECORD.model_copy(update={"status": RunStatus.SUCCEEDED})
    registry.update(first, done)
    assert (registry.load(first), registry.load(second)) == (done, RECORD)
    with pytest.raises(ReaderStateError, match="no run record"):
        registry.load(first.replace("0f3c", "other"))
    if kind == "directory":
        directory = Path(first.removeprefix("file://")).parent
        assert directory.parent == tmp_path / "p/r"
        assert directory.name.startswith("2026-11-21T07:38:13.884350Z_run_id=0f3c_") and len(directory.name.rsplit("_", 1)[1]) == 32


def test_a_run_that_succeeds_leaves_its_manifest_and_no_lease():
    registry = InMemoryRunRegistry()
    with RunRecordLifecycle.start(config=config_of(registry), run_id="r", writer_type="python") as run:
        running = registry.load(run.run_record_ref)
        assert running.status is RunStatus.RUNNING and running.lease_expires_at - running.updated_at == timedelta(minutes=10)
        run.set_manifest_ref("s3://b/m")
        run.mark_succeeded()
    record = registry.load(run.run_record_ref)
    assert (record.status, record.manifest_ref, record.error_type) == (RunStatus.SUCCEEDED, "s3://b/m", None)
    assert record.lease_expires_at == record.updated_at >= record.started_at


def test_a_run_that_fails_says_why():
    registry = InMemoryRunRegistry()
    with pytest.raises(KeyError), RunRecordLifecycle.start(config=config_of(registry), run_id="r", writer_type="python") as run:
        raise KeyError("a")
    record = registry.load(run.run_record_ref)
    assert (record.status, record.error_type, record.error_message) == (RunStatus.FAILED, "KeyError", "'a'")


def test_a_long_message_is_cut_so_that_the_record_can_be_read():
    backend = MemoryBackend()
    run = RunRecordLifecycle.start(config=config_of(S3RunRegistry(backend, "s3://b/p")), run_id="r", writer_type="python")
    run.mark_failed(OSError("\U0001f600" * 2**20))
    run.close()
    assert parse_run_record(backend.get(run.run_record_ref)).error_message == "\U0001f600" * 2000


def test_a_run_that_has_ended_stays_as_it_ended():
    registry = InMemoryRunRegistry()
    with pytest.raises(RuntimeError), RunRecordLifecycle.start(config=config_of(registry), run_id="r", writer_type="python") as run:
        run.mark_succeeded()
        raise RuntimeError("after the publish")
    assert registry.load(run.run_record_ref).status is RunStatus.SUCCEEDED


def until(condition):
    give_up_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_the_heartbeat_renews_the_lease_until_the_run_ends():
    registry = InMemoryRunRegistry()
    with RunRecordLifecycle.start(config=config_of(registry), run_id="r", writer_type="dask", lease_duration=timedelta(hours=1),
                                  heartbeat_interval=timedelta(milliseconds=5)) as run:
        first = registry.load(run.run_record_ref)
        until(lambda: registry.load(run.run_record_ref).updated_at > first.updated_at)
        renewed = registry.load(run.run_record_ref)
        assert renewed.lease_expires_at - renewed.updated_at == timedelta(hours=1) and renewed.started_at == first.started_at
        run.mark_succeeded()
    assert not run._heart.is_alive()
    run.close()


def test_a_registry_that_fails_does_not_fail_the_run(caplog):
    with RunRecordLifecycle.start(config=config_of(Broken(0)), run_id="r", writer_type="python") as run:
        assert run.run_record_ref is None
        run.mark_succeeded()
    registry = Broken(1)
    with RunRecordLifecycle.start(config=config_of(registry), run_id="r", writer_type="python",
                                  heartbeat_interval=timedelta(milliseconds=1)) as run:
        until(lambda: registry.calls > 3)
        run.set_manifest_ref("s3://b/m")
        run.mark_succeeded()
    assert {record.getMessage() for record in caplog.records} == {"run_record_create_failed", "run_record_update_failed"}


def test_by_default_the_record_lies_beside_the_snapshot(tmp_path):
    with RunRecordLifecycle.start(config=config_of(prefix=f"file://{tmp_path}/p"), run_id="r", writer_type="python") as run:
        run.mark_succeeded()
    files = list((tmp_path / "p/runs").glob("*/run.yaml"))
    assert [f"file://{file}" for file in files] == [run.run_record_ref]
    assert parse_run_record(files[0].read_bytes()).s3_prefix == f"file://{tmp_path}/p"
    mine = InMemoryRunRegistry()
    assert resolve_run_registry(config_of(mine)) is mine
