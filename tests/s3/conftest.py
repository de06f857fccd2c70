"""Fixtures of the tests that talk to a real S3 server on this machine."""

from __future__ import annotations

import os

import pytest
import s3_server


@pytest.fixture(scope="session")
def server():
    """A server with an empty bucket, for the whole session: tests keep to names of their own."""
    kind = os.environ.get("DATASHARD_TEST_S3_SERVER", "versitygw")
    with s3_server.running(s3_server.Options(server=kind, keep_alive=True)) as running:
        yield running
