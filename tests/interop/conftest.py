"""Fixtures of the interop tests: the peers' interpreter and a way to ask it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import s3_server

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("DATASHARD_PEERS_PYTHON", ROOT / ".cache/venvs/peers/bin/python"))


@pytest.fixture(scope="session")
def ask():
    """ask(engine, call, table, *arguments): the answer of another engine, in its own process and environment."""
    return lambda *call: answers_of(*call)[-1]


@pytest.fixture(scope="session")
def ask_all():
    """Like ask, but all lines of the answer: for `watch`."""
    return answers_of


@pytest.fixture(scope="session")
def server():
    """versitygw with an empty bucket; without --keep-alive, beside which it mistakes uploads of Arrow's S3 client."""
    with s3_server.running(s3_server.Options(users=True)) as running:
        yield running


def answers_of(engine: str, name: str, table, *arguments) -> list:
    if not PEERS.exists():
        pytest.fail(f"{PEERS} does not exist: run `make peers`")
    done = subprocess.run(
        [str(PEERS), str(Path(__file__).with_name("peer.py")), engine, name, str(table), *map(str, arguments)],
        capture_output=True, text=True, timeout=300, env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"})
    assert done.returncode == 0, f"{engine} could not {name} {table}:\n{done.stderr}"
    return [json.loads(line) for line in done.stdout.splitlines()]
