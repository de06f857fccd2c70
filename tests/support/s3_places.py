"""Where a test's tables lie in a server's bucket."""

from __future__ import annotations

import re

import pytest


def own_prefix(request: pytest.FixtureRequest) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", request.node.name)


def use(server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest):
    """Points this process, and those it starts, to a prefix of the test's own, by environment variables alone."""
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATASHARD_S3_PREFIX", own_prefix(request))
    return server
