"""The `shardy` command on snapshots in a bucket: as in a directory, and with rights to read only."""

from __future__ import annotations

import pytest
import s3_places
import s3_server
import s3_users
from shardy_command import Shardy, publish

from shardyfusion.sqlite_adapter import SqliteFactory


@pytest.fixture
def shardy(bucket, request, tmp_path) -> Shardy:
    prefix = f"s3://{bucket.bucket}/{s3_places.own_prefix(request)}"
    publish(tmp_path, {i: b"value" for i in range(100)}, "first", prefix)
    publish(tmp_path, {i: b"value" for i in range(101)}, "second", prefix, adapter_factory=SqliteFactory())
    return Shardy(tmp_path, prefix)


def test_commands_work_as_in_a_directory(shardy: Shardy):
    assert shardy.json("info")["row_count"] == 101
    for mode in ("download", "range", "auto"):
        assert shardy.json("--sqlite-mode", mode, "get", "100")["found"] is True
    assert sum(shard["row_count"] for shard in shardy.json("shards")["shards"]) == 101
    assert [entry["run_id"] for entry in shardy.json("history")["manifests"]] == ["second", "first"]
    assert shardy.json("rollback", "--offset", "1")["run_id"] == "first"
    answer = shardy.json("multiget", "-", stdin="99\n100\n")
    assert [result["found"] for result in answer["results"]] == [True, False]
    assert shardy.json("cleanup", "--keep-last", "1")["total_objects_deleted"] == 0, "all of it is younger than an hour"


def test_credentials_come_from_a_file_too(shardy: Shardy, bucket, monkeypatch):
    for name in bucket.variables:
        monkeypatch.delenv(name)
    file = shardy.directory / "credentials.toml"
    file.write_text(f'[default]\nendpoint_url = "{bucket.endpoint}"\nregion = "{s3_server.REGION}"\naccess_key_id = "{bucket.access_key}"\n'
                    f'secret_access_key = "{bucket.secret_key}"\naddressing_style = "path"\n')
    file.chmod(0o600)
    assert shardy.json("get", "7")["found"] is True
    file.write_text(file.read_text().replace(bucket.secret_key, "wrong"))
    assert "SignatureDoesNotMatch" in shardy.refused("get", "7")["error"]


def test_who_may_only_read_looks_keys_up_and_moves_nothing(tmp_path, monkeypatch, request):
    with s3_server.running(s3_server.Options(users=True)) as server:
        s3_places.use(server, monkeypatch, request)
        prefix = f"s3://{server.bucket}/people"
        publish(tmp_path, {1: b"value"}, "first", prefix)
        publish(tmp_path, {1: b"value"}, "second", prefix)
        reader = s3_users.add(server, "reader", "a-secret")
        s3_users.allow(server, reader, [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{server.bucket}/*"},
                                        {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{server.bucket}"}])
        s3_places.use(reader, monkeypatch, request)
        shardy = Shardy(tmp_path, prefix)
        assert shardy.json("get", "1")["found"] is True
        assert len(shardy.json("history")["manifests"]) == 2
        error = shardy.refused("rollback", "--offset", "1")["error"]
        assert "403" in error and "PUT" in error
        assert shardy.json("info")["run_id"] == "second"
