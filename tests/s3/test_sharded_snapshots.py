"""Sharded snapshots in a bucket: published and read as in a directory, and through the package's own objects."""

from __future__ import annotations

import asyncio

import pytest
import s3_places
import s3_server
import s3_users
from snapshots import FORMATS, Place, numbers, run

from shardyfusion import (DbAdapterError, ReaderStateError, S3ManifestStore, S3RunRegistry, ShardyfusionError, SlateDbReaderFactory,
                          StaticCredentialProvider)
from shardyfusion.config import WriterManifestConfig
from shardyfusion.credentials import S3Credentials
from shardyfusion.errors import S3TransientError
from shardyfusion.sqlite_adapter import SqliteAdapter, SqliteRangeReaderFactory, SqliteReaderFactory, SqliteShardReader
from shardyfusion.storage import AsyncObstoreBackend, ObstoreBackend, create_s3_store


def access_to(server) -> dict:
    return {"credential_provider": StaticCredentialProvider(server.access_key, server.secret_key),
            "s3_connection_options": {"endpoint_url": server.endpoint, "region_name": "us-east-1", "addressing_style": "path"}}


@pytest.fixture
def place(server, request, tmp_path) -> Place:
    """A prefix of the test's own; nothing of it is in the environment."""
    return Place(f"s3://{server.bucket}/{s3_places.own_prefix(request)}", str(tmp_path), access_to(server))


@pytest.fixture
def store(server):
    access = access_to(server)
    return create_s3_store(server.bucket, S3Credentials(server.access_key, server.secret_key), access["s3_connection_options"])


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_what_was_published_is_read_by_all(place: Place, kind):
    result = place.publish(numbers(2000), adapter_factory=FORMATS[kind]())
    assert result.manifest_ref.startswith(place.prefix) and result.stats.rows_written == 2000
    for reader in (place.reader(), place.concurrent_reader()):
        with reader:
            assert reader.multi_get(list(range(2001))) == {**numbers(2000), 2000: None}
            assert reader.get(7) == b"value 7" and [key for key, _ in reader.scan(5, 8)] == [5, 6, 7]

    async def look():
        async with await place.async_reader() as reader:
            assert await asyncio.gather(*(reader.get(key) for key in range(100))) == list(numbers(100).values())

    run(look())


@pytest.mark.parametrize("factory", [SqliteReaderFactory(), SqliteRangeReaderFactory(), None])
def test_sqlite_shards_are_downloaded_or_read_by_ranges(place: Place, factory):
    place.publish(numbers(2000), adapter_factory=FORMATS["sqlite"]())
    with place.reader(reader_factory=factory) as reader:
        assert reader.multi_get(list(range(2000))) == numbers(2000)


def test_the_environment_says_who_we_are(server, place: Place, monkeypatch):
    place.publish(numbers(10))
    for name, value in {"S3_ACCESS_KEY_ID": server.access_key, "S3_SECRET_ACCESS_KEY": server.secret_key,
                        "SLATEDB_S3_ENDPOINT_URL": server.endpoint, "S3_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    bare = Place(place.prefix, place.local_root)
    with bare.reader() as reader:
        assert reader.get(7) == b"value 7"


def test_an_env_file_says_who_we_are(server, place: Place, tmp_path):
    place.publish(numbers(10))
    file = tmp_path / "slate.env"
    file.write_text(f"AWS_ACCESS_KEY_ID={server.access_key}\nAWS_SECRET_ACCESS_KEY={server.secret_key}\n"
                    f"AWS_ENDPOINT_URL={server.endpoint}\nAWS_REGION=us-east-1\n")
    bare = Place(place.prefix, place.local_root)
    with bare.reader(slate_env_file=str(file)) as reader:
        assert reader.get(7) == b"value 7"
    with bare.reader(reader_factory=SlateDbReaderFactory(env_file=str(file))) as reader:
        assert reader.get(7) == b"value 7"


def test_an_empty_prefix_is_a_state_error(place: Place):
    with pytest.raises(ReaderStateError):
        place.reader()


def test_wrong_keys_are_told(server, place: Place):
    place.publish(numbers(10))
    wrong = Place(place.prefix, place.local_root, {**place.access, "credential_provider": StaticCredentialProvider("nobody", "x" * 20)})
    with pytest.raises(ShardyfusionError) as raised:
        wrong.reader()
    assert isinstance(raised.value, PermissionError)


def test_a_server_that_is_away_is_transient(place: Place):
    options = {**place.access["s3_connection_options"], "endpoint_url": "http://127.0.0.1:9", "max_attempts": 1, "connect_timeout": 1}
    with pytest.raises(S3TransientError) as raised:
        Place(place.prefix, place.local_root, {**place.access, "s3_connection_options": options}).reader()
    assert raised.value.retryable


def test_refresh_follows_and_a_deleted_manifest_is_made_up_for(place: Place, store):
    first = place.publish({1: b"first"})
    with place.reader() as reader:
        second = place.publish({1: b"second"})
        assert reader.refresh() is True and reader.get(1) == b"second"
    assert first.manifest_ref != second.manifest_ref
    ObstoreBackend(store).delete_prefix(second.manifest_ref.rsplit("/", 1)[0])
    with place.reader() as reader:
        assert reader.get(1) == b"first"


def test_objects_by_url(place: Place, store):
    backend = ObstoreBackend(store)
    url = f"{place.prefix}/some/run_id=x:1/object"
    assert backend.try_get(url) is None and backend.head(url) is None
    with pytest.raises(FileNotFoundError):
        backend.get(url)
    backend.put(url, b"body", "text/plain")
    assert backend.get(url) == b"body" and backend.head(url) is not None
    backend.put(f"{place.prefix}/some/other", b"", "text/plain")
    assert backend.list_prefixes(f"{place.prefix}/some/") == [f"{place.prefix}/some/run_id=x:1"]
    assert backend.list_prefixes(f"{place.prefix}/nothing") == []

    async def look():
        tasks = AsyncObstoreBackend(store)
        await tasks.put(url, b"new", "text/plain")
        return await tasks.get(url), await tasks.try_get(url + "x"), await tasks.head(url) is not None, await tasks.delete_prefix(place.prefix)

    assert run(look()) == (b"new", None, True, 2)


def test_stores_of_the_package_work_with_the_core(place: Place, store):
    manifests = S3ManifestStore(ObstoreBackend(store), place.prefix)
    registry = S3RunRegistry(ObstoreBackend(store), place.prefix)
    result = place.publish(numbers(10), manifest=WriterManifestConfig(store=manifests), run_registry=registry)
    assert registry.load(result.run_record_ref).run_id == result.run_id
    assert manifests.load_current().ref == result.manifest_ref
    with place.reader() as ours, place.reader(manifest_store=manifests) as theirs:
        assert ours.get(7) == theirs.get(7) == b"value 7"
    again = place.publish({7: b"new"})
    assert manifests.load_current().ref == again.manifest_ref
    assert [ref.run_id for ref in manifests.list_manifests()] == [again.run_id, result.run_id]


def test_single_shards_by_adapter(place: Place, tmp_path):
    url = f"{place.prefix}/shard"
    with SqliteAdapter(db_url=url, local_dir=tmp_path / "work", **place.access) as adapter:
        adapter.write_batch([(b"k", b"v")])
        adapter.seal()
    with SqliteShardReader(db_url=url, local_dir=tmp_path / "local", checkpoint_id="c", **place.access) as reader:
        assert reader.get(b"k") == b"v"
    with pytest.raises(DbAdapterError):
        with SqliteShardReader(db_url=url + "x", local_dir=tmp_path / "none", checkpoint_id="d", **place.access) as reader:
            reader.get(b"k")


@pytest.fixture(scope="module")
def owner():
    with s3_server.running(s3_server.Options(keep_alive=True, users=True)) as running:
        yield running


def test_the_right_to_get_and_to_list_suffices_for_readers(owner, request, tmp_path):
    prefix = f"s3://{owner.bucket}/{s3_places.own_prefix(request)}"
    for kind, factory in FORMATS.items():
        Place(f"{prefix}/{kind}", "", access_to(owner)).publish(numbers(100), adapter_factory=factory())
    user = s3_users.add(owner, "onlyreads", "a secret of some length")
    s3_users.allow(owner, user, [
        {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"arn:aws:s3:::{owner.bucket}/*"]},
        {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{owner.bucket}"]}])
    for kind in FORMATS:
        place = Place(f"{prefix}/{kind}", str(tmp_path / kind), access_to(user))
        with place.reader() as reader:
            assert reader.multi_get(list(range(100))) == numbers(100) and reader.refresh() is False
        with pytest.raises(ShardyfusionError) as raised:
            place.publish({1: b"x"})
        assert isinstance(raised.value, PermissionError)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_value_of_a_million_is_read_back_from_a_bucket(place: Place, kind):
    result = place.publish({key: b"%020d" % key * 5 for key in range(1_000_000)}, num_dbs=8, adapter_factory=FORMATS[kind]())
    assert result.stats.rows_written == 1_000_000
    with place.concurrent_reader() as reader:
        for first in range(0, 1_000_000, 50_000):
            keys = range(first, first + 50_000)
            assert reader.multi_get(keys) == {key: b"%020d" % key * 5 for key in keys}
