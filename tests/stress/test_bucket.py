"""dev/stress.py in a bucket whose requests fail: a small run of what `make stress STRESS_FLAGS="--faults 0.1 --hosts 4"` does at length."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

STRESS = Path(__file__).resolve().parents[2] / "dev" / "stress.py"


def stress(*arguments: str) -> dict:
    seed = os.environ.get("DATASHARD_SEED", str(time.time_ns() % 1_000_000))
    print(f"replay with DATASHARD_SEED={seed}")
    done = subprocess.run([sys.executable, str(STRESS), "--json", "--seed", seed, *arguments], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)["table"]


@pytest.mark.slow
@pytest.mark.parametrize(("hosts", "server"), [(1, "versitygw"), (4, "versitygw"), pytest.param(4, "minio", marks=pytest.mark.long)])
def test_every_acknowledged_row_is_there_once(hosts, server):
    found = stress("--processes", "4", "--threads", "4", "--appends", "400", "--faults", "0.15", "--hosts", str(hosts), "--server", server)
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == found["refused_there"] == 0
    assert found["expected"] + found["unknown"] + found["refused"] == 1600
    assert sum(found["faults"].values()) > 20 and len([fault for fault, count in found["faults"].items() if count]) > 3


@pytest.mark.long
@pytest.mark.timeout(2000)
def test_100_000_appends_by_8_processes():
    found = stress("--processes", "8", "--threads", "8", "--appends", "12504", "--faults", "0.1", "--hosts", "2")
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == found["refused_there"] == 0
    assert found["expected"] + found["unknown"] + found["refused"] == 100_032


@pytest.mark.slow
def test_writers_that_are_killed_in_between_lose_nothing():
    found = stress("--processes", "4", "--threads", "4", "--appends", "400", "--faults", "0.15", "--hosts", "2", "--kill-every", "0.5")
    assert found["lost"] == found["repeated"] == found["strays"] == found["errors"] == 0
    assert found["killed"] >= 1


@pytest.mark.parametrize(("arguments", "says"), [
    (["--faults", "0"], "--faults must be more than 0"),
    (["--hosts", "13"], "--hosts must be from 1 to --processes, 12"),
    (["--s3", "--start-method", "fork"], "leave out --table and --start-method fork"),
])
def test_a_wrong_option_is_refused_with_its_name(arguments, says):
    done = subprocess.run([sys.executable, str(STRESS), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and says in done.stderr
