"""What the tests of sharded snapshots' Python part share. Nothing here needs the core."""

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
