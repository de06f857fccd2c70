"""Fixtures of the tests that talk to a real S3 server on this machine."""

from __future__ import annotations

import pytest
import s3_places
import s3_server


@pytest.fixture(scope="session", params=["versitygw", pytest.param("minio", marks=[pytest.mark.long, pytest.mark.timeout(2400)])])
def server(request):
    """A server with an empty bucket, for the whole session: tests keep to names of their own."""
    with s3_server.running(s3_server.Options(server=request.param, keep_alive=True)) as running:
        yield running


@pytest.fixture
def bucket(server, monkeypatch, request):
    """A prefix of its own in the server's bucket, by environment variables alone."""
    return s3_places.use(server, monkeypatch, request)
