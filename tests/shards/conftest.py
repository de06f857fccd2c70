"""What the tests of sharded snapshots' Python part share. What needs the core is imported when it is asked for."""

from __future__ import annotations

import postgres_server
import pytest
from hypothesis import settings

settings.register_profile("shards", deadline=None)  # machines of tests are slow now and then
settings.load_profile("shards")


@pytest.fixture(scope="session")
def postgres():
    with postgres_server.running() as server:
        yield server


@pytest.fixture
def place(tmp_path):
    """Where a test's snapshot lies: a directory of its own."""
    from snapshots import Place

    return Place(f"file://{tmp_path / 'snapshot'}", str(tmp_path / "local"))
