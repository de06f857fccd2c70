"""Every manifest store keeps one contract; then what is particular to the one of buckets and directories."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from snapshot_values import build_meta, shard_meta

from shardyfusion import (AsyncManifestStore, AsyncS3ManifestStore, ConfigValidationError, CurrentPointer, InMemoryManifestStore, ManifestParseError, ManifestStore,
                          PublishCurrentError, PublishManifestError, ReaderStateError, S3ManifestStore)
from shardyfusion.db_manifest_store import PostgresManifestStore
from shardyfusion.manifest_store import parse_current_pointer_to_ref, parse_manifest_dir_entry
from shardyfusion.storage import AsyncFileBackend, AsyncMemoryBackend, FileBackend, MemoryBackend

names = map("table_{}".format, itertools.count())


@pytest.fixture(params=["memory", "bucket", "directory", "postgres"])
def store(request, tmp_path):
    if request.param == "memory":
        return InMemoryManifestStore()
    if request.param == "bucket":
        return S3ManifestStore(MemoryBackend(), "s3://b/p")
    if request.param == "directory":
        return S3ManifestStore(FileBackend(), f"file://{tmp_path}/p/")
    name = next(names)
    return PostgresManifestStore(request.getfixturevalue("postgres").connect, table_name=name, pointer_table_name=f"{name}_pointer")


def publish(store, run_id, *, shards=None, custom=None, created_at=None, **build):
    if created_at:
        build["created_at"] = created_at
    return store.publish(run_id=run_id, required_build=build_meta(run_id, **build), custom=custom or {},
                         shards=[shard_meta(0, run_id)] if shards is None else shards)


def test_an_empty_store_has_no_current_manifest(store):
    assert isinstance(store, ManifestStore)
    assert store.load_current() is None and store.list_manifests() == []
    with pytest.raises(ReaderStateError, match="list_manifests"):
        store.load_manifest("s3://b/p/manifests/2026-01-01T00:00:00.000000Z_run_id=x/manifest".replace("s3://b", "file:///none")
                            if isinstance(getattr(store, "_backend", None), FileBackend) else "x")


def test_what_is_published_is_current_and_can_be_loaded(store):
    shards = [shard_meta(0, "r", min_key=b"a\x00", max_key=b"\xff\x00"), shard_meta(1, "r", min_key="nul\0", max_key="é")]
    ref = publish(store, "r", shards=shards, custom={"mine": {"a": [1.5, None, "x"]}}, key_encoding="raw", strategy="cel", cel_expr="key",
                  cel_columns={"key": "bytes", "b": "int"}, routing_values=[b"\xff", b"\x00"])
    current = store.load_current()
    assert (current.ref, current.run_id, current.published_at.utcoffset().total_seconds()) == (ref, "r", 0)
    parsed = store.load_manifest(ref)
    assert parsed.shards == shards and parsed.custom["mine"] == {"a": [1.5, None, "x"]}
    assert parsed.required_build == build_meta("r", key_encoding="raw", strategy="cel", cel_expr="key",
                                               cel_columns={"key": "bytes", "b": "int"}, routing_values=[b"\xff", b"\x00"])


def test_an_empty_snapshot_is_a_snapshot(store):
    assert store.load_manifest(publish(store, "empty", shards=[])).shards == []


def moments(count):
    return [build_meta().created_at.replace(second=second) for second in range(count)]


def test_the_newest_are_listed_first_and_rolling_back_changes_the_pointer_alone(store):
    refs = [publish(store, f"run{n}", created_at=at) for n, at in enumerate(moments(5))]
    assert [ref.ref for ref in store.list_manifests()] == refs[::-1]
    assert [ref.run_id for ref in store.list_manifests(limit=2)] == ["run4", "run3"] and store.list_manifests(limit=0) == []
    store.set_current(refs[1])
    assert (store.load_current().ref, store.load_current().run_id) == (refs[1], "run1")
    assert [ref.ref for ref in store.list_manifests()] == refs[::-1]
    newest = publish(store, "run5")
    assert store.load_current().ref == newest


def test_a_manifest_that_does_not_fit_is_not_published(store):
    with pytest.raises(ValueError):
        publish(store, "r", shards=[shard_meta(7)])
    assert store.load_current() is None and store.list_manifests() == []


def test_in_memory_an_unknown_reference_is_a_key_error_and_manifests_are_copies():
    store = InMemoryManifestStore()
    with pytest.raises(KeyError):
        store.set_current("x")
    ref = publish(store, "r", custom={"a": []})
    assert ref == "mem://manifests/run_id=r/manifest"
    store.load_manifest(ref).custom["a"].append(1)
    assert store.load_manifest(ref).custom == {"a": []}


class Failing(MemoryBackend):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def put(self, url, payload, content_type, headers=None):
        if self.part in url:
            raise OSError("no space")
        super().put(url, payload, content_type, headers)


def test_a_pointer_that_cannot_be_written_names_the_manifest_and_can_be_set_again():
    backend = Failing("_CURRENT")
    store = S3ManifestStore(backend, "s3://b/p")
    with pytest.raises(PublishCurrentError, match="no space") as failed:
        publish(store, "r")
    assert store.load_current() is None and [ref.ref for ref in store.list_manifests()] == [failed.value.manifest_ref]
    backend.part = "nothing"
    store.set_current(failed.value.manifest_ref)
    assert store.load_current().ref == failed.value.manifest_ref


def test_a_manifest_that_cannot_be_written_leaves_the_pointer():
    backend = Failing("nothing")
    store = S3ManifestStore(backend, "s3://b/p")
    first = publish(store, "r")
    backend.part = "/manifests/"
    with pytest.raises(PublishManifestError, match="no space"):
        publish(store, "r2")
    assert store.load_current().ref == first


def test_the_pointer_is_what_the_page_says(tmp_path):
    ref = publish(S3ManifestStore(FileBackend(), f"file://{tmp_path}/p", manifest_name="m", current_pointer_key="NOW"), "0f3c")
    text = (tmp_path / "p/NOW").read_text()
    said = json.loads(text)
    assert text == json.dumps(said, sort_keys=True, separators=(",", ":"))
    assert {**said, "updated_at": ""} == {"format_version": 1, "manifest_content_type": "application/x-sqlite3", "manifest_ref": ref,
                                          "run_id": "0f3c", "updated_at": ""}
    assert CurrentPointer.model_validate(said).updated_at.tzinfo is not None
    directory = next((tmp_path / "p/manifests").iterdir())
    assert ref == f"file://{directory}/m"


POINTER = {"manifest_ref": "s3://b/m", "manifest_content_type": "x", "run_id": "r", "updated_at": "2026-11-21T07:38:13.893210Z", "new": 1}


def test_a_pointer_of_a_later_release_may_say_more():
    found = parse_current_pointer_to_ref(json.dumps(POINTER).encode())
    assert (found.ref, found.run_id, found.published_at.microsecond) == ("s3://b/m", "r", 893210)


@pytest.mark.parametrize("payload", [
    b"", b"\xff", b"[]", b"null", b"[" * 100_000, *(json.dumps({**POINTER, name: None}).encode() for name in POINTER if name != "new"),
    json.dumps({**POINTER, "format_version": 2}).encode(), json.dumps({**POINTER, "manifest_ref": ""}).encode(),
    json.dumps({**POINTER, "updated_at": "soon"}).encode()])
def test_a_damaged_pointer_is_refused(payload):
    with pytest.raises(ManifestParseError, match="current pointer"):
        parse_current_pointer_to_ref(payload)


@pytest.mark.parametrize(("name", "run_id"), [
    ("2026-11-21T07:38:13.884350Z_run_id=0f3c", "0f3c"), ("2026-11-21T07:38:13.884350Z_run_id=a_run_id=b", "a_run_id=b"),
    ("2026-11-21T07:38:13.884350Z_run_id=", None), ("2026-13-21T07:38:13.884350Z_run_id=a", None),
    ("2026-11-21T07:38:13.884Z_run_id=a", None), ("2026-11-21T07:38:13.884350Z_run_id=a/b", None), ("tmp", None)])
def test_directories_of_manifests_are_told_by_their_names(name, run_id):
    found = parse_manifest_dir_entry(name, "s3://b/p/", "manifest")
    assert (found and found.run_id) == run_id
    if found:
        assert found.ref == f"s3://b/p/manifests/{name}/manifest"
        assert parse_manifest_dir_entry(name + "/", "s3://b/p", "manifest").ref == found.ref


def test_other_directories_are_passed_over_and_a_deleted_manifest_says_so(tmp_path):
    store = S3ManifestStore(FileBackend(), f"file://{tmp_path}/p")
    ref = publish(store, "r")
    (tmp_path / "p/manifests/old").mkdir()
    assert [found.ref for found in store.list_manifests()] == [ref]
    FileBackend().delete_prefix(ref)
    with pytest.raises(ReaderStateError, match="no manifest at"):
        store.load_manifest(store.load_current().ref)


def test_a_reference_without_a_run_cannot_be_current_and_a_run_is_a_plain_name():
    store = S3ManifestStore(MemoryBackend(), "s3://b/p")
    with pytest.raises(ConfigValidationError, match="run_id="):
        store.set_current("s3://b/p/manifests/x")
    for wrong in ("", "a/b"):
        with pytest.raises(ConfigValidationError, match="without '/'"):
            publish(store, wrong)


def test_tasks_see_what_was_published(tmp_path):
    url = f"file://{tmp_path}/p"
    store = S3ManifestStore(FileBackend(), url)
    refs = [publish(store, f"run{n}") for n in range(3)]

    async def look():
        tasks = AsyncS3ManifestStore(AsyncFileBackend(), url)
        assert isinstance(tasks, AsyncManifestStore)
        assert await tasks.load_current() == store.load_current()
        assert await tasks.load_manifest(refs[0]) == store.load_manifest(refs[0])
        assert await tasks.list_manifests(limit=2) == store.list_manifests(limit=2)
        empty = AsyncS3ManifestStore(AsyncMemoryBackend(), "s3://b/p")
        assert await empty.load_current() is None and await empty.list_manifests() == []
        with pytest.raises(ReaderStateError):
            await empty.load_manifest(refs[0])

    asyncio.run(look())
