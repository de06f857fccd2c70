"""What the tests of sharded snapshots' Python part share. Nothing here needs the core."""

from __future__ import annotations

import postgres_server
import pytest


@pytest.fixture(scope="session")
def postgres():
    with postgres_server.running() as server:
        yield server
