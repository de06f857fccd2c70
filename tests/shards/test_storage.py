"""One set of tests for every backend: in memory, in a directory, and both for tasks."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion.storage import (AsyncFileBackend, AsyncMemoryBackend, AsyncStorageBackend, FileBackend, MemoryBackend, StorageBackend,
                                  backend_for, join_s3, parse_s3_url)


class Waiting:
    """A backend for tasks, called from where there are none."""

    def __init__(self, backend):
        self.backend = backend

    def __getattr__(self, name):
        method = getattr(self.backend, name)
        return lambda *given: asyncio.run(method(*given))


@pytest.fixture(params=["memory", "file", "async memory", "async file"])
def place(request, tmp_path):
    """A backend and a URL to put things below."""
    kind = {"memory": MemoryBackend, "file": FileBackend, "async memory": AsyncMemoryBackend, "async file": AsyncFileBackend}[request.param]
    assert isinstance(kind(), AsyncStorageBackend if "async" in request.param else StorageBackend)
    backend = Waiting(kind()) if "async" in request.param else kind()
    return backend, f"file://{tmp_path}/p" if "file" in request.param else "s3://b/p"


def test_what_was_put_is_there_and_the_last_put_counts(place):
    backend, base = place
    assert backend.try_get(f"{base}/a") is None
    with pytest.raises(FileNotFoundError):
        backend.get(f"{base}/a")
    backend.put(f"{base}/a", b"1", "text/plain")
    backend.put(f"{base}/a", b"22", "text/plain", {"x": "y"})
    backend.put(f"{base}/d=1/x:y/e", b"", "text/plain")
    assert backend.get(f"{base}/a") == b"22" == backend.try_get(f"{base}/a")
    assert backend.get(f"{base}/d=1/x:y/e") == b""
    assert backend.try_get(f"{base}/d=1") is None and backend.try_get(f"{base}/a/b") is None


def test_directories_right_below_are_listed_in_order(place):
    backend, base = place
    assert backend.list_prefixes(f"{base}/runs/") == []
    for name in ("runs/b/x", "runs/a/y/z", "runs/a/x", "runs/file", "runs2/c/x"):
        backend.put(f"{base}/{name}", b"", "text/plain")
    assert backend.list_prefixes(f"{base}/runs/") == backend.list_prefixes(f"{base}/runs") == [f"{base}/runs/a", f"{base}/runs/b"]
    assert backend.list_prefixes(f"{base}/runs/file") == []


def test_what_is_below_a_directory_goes_and_its_neighbours_stay(place):
    backend, base = place
    for name in ("attempt=1/x", "attempt=1/y/z", "attempt=10/x", "single"):
        backend.put(f"{base}/{name}", b"", "text/plain")
    assert backend.delete_prefix(f"{base}/attempt=1") == 2
    assert backend.delete_prefix(f"{base}/attempt=1/") == 0
    assert backend.try_get(f"{base}/attempt=10/x") == b"" and backend.try_get(f"{base}/attempt=1/x") is None
    assert (backend.delete_prefix(f"{base}/single"), backend.try_get(f"{base}/single")) == (1, None)
    assert (backend.delete_prefix(f"{base}/attempt=10/x"), backend.list_prefixes(base)) == (1, [])


def test_readers_of_a_file_see_it_before_or_after_a_put_and_nothing_between(tmp_path):
    backend, url = FileBackend(), f"file://{tmp_path}/deep/er/object"
    values = [bytes([n]) * 100_000 for n in range(2)]
    backend.put(url, values[0], "x")
    seen, done = set(), threading.Event()

    def look():
        while not done.is_set():
            seen.add(backend.get(url))

    reader = threading.Thread(target=look)
    reader.start()
    for n in range(100):
        backend.put(url, values[n % 2], "x")
    done.set()
    reader.join()
    assert seen <= set(values)
    assert os.listdir(tmp_path / "deep/er") == ["object"]


def test_a_put_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        FileBackend().put(f"file://{tmp_path}/taken", b"1", "x")
    assert os.listdir(tmp_path) == ["taken"]


def test_new_files_have_the_rights_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        FileBackend().put(f"file://{tmp_path}/a", b"1", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("url", ["s3://b/p", "/tmp/x", "file://relative/x", "file:///a/../b", "file:///a\0b"])
def test_a_url_of_no_directory_is_refused(url):
    with pytest.raises(ValueError):
        FileBackend().put(url, b"", "x")


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/x").touch()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    assert FileBackend().delete_prefix(f"file://{tmp_path}/link") == 1
    assert (tmp_path / "kept/x").exists() and not (tmp_path / "link").exists()


@pytest.mark.parametrize(("url", "parts"), [("s3://b/a/c", ("b", "a/c")), ("s3://b", ("b", "")), ("s3://b/a/", ("b", "a/"))])
def test_a_buckets_url_has_two_parts(url, parts):
    assert parse_s3_url(url) == parts


@pytest.mark.parametrize("url", ["", "s3://", "s3:///a", "http://b/a", "b/a", "file:///a"])
def test_other_urls_are_refused(url):
    with pytest.raises(ValueError, match="s3://bucket"):
        parse_s3_url(url)


@given(st.lists(st.text("ab/", max_size=4)))
def test_parts_are_joined_by_one_slash_each(parts):
    joined = join_s3("s3://b/p/", *parts)
    assert joined == "/".join(["s3://b/p", *(part.strip("/") for part in parts if part.strip("/"))]) and not joined.endswith("/")


def test_a_directory_needs_no_core():
    assert isinstance(backend_for("file:///srv/x"), FileBackend)
    with pytest.raises(ValueError):
        backend_for("gs://b/p")
