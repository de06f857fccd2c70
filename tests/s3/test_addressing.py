"""A bucket that is part of the host's name: https://bucket.host/key instead of https://host/bucket/key."""

from __future__ import annotations

import datashard
import pytest
import s3_proxy
import s3_server

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])


@pytest.fixture(scope="module", params=["versitygw", pytest.param("minio", marks=[pytest.mark.long, pytest.mark.timeout(2400)])])
def server(request):
    """curl takes every name below localhost for this machine."""
    with s3_server.running(s3_server.Options(server=request.param, keep_alive=True, domain="localhost")) as running:
        yield running


@pytest.mark.parametrize("addressing", ["virtual", "path"])
def test_a_table_by_either_addressing(server, monkeypatch, addressing):
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    with s3_proxy.before(server.port) as proxy:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", f"http://localhost:{proxy.port}")
        monkeypatch.setenv("DATASHARD_S3_ADDRESSING", addressing)
        path = f"{addressing}/a b+c"
        table = datashard.create_table(path, SCHEMA)
        for number in range(3):
            table.append_records([{"id": number}])
        assert [row["id"] for row in datashard.load_table(path).scan()] == [0, 1, 2]
        with pytest.raises(ValueError, match="No Iceberg table found"):
            datashard.load_table("nothing")
        paths = {request["path"].split("/")[1] for request in proxy.report()["requests"]}
    assert paths == ({server.bucket} if addressing == "path" else {"", addressing, "nothing"}), "the list is asked of the bucket itself"
    # The same objects, by the other way.
    monkeypatch.setenv("DATASHARD_S3_ENDPOINT", server.endpoint)
    monkeypatch.setenv("DATASHARD_S3_ADDRESSING", "path")
    assert datashard.load_table(path).row_count() == 3
