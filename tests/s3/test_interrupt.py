"""Ctrl-C while a bucket does not answer: the call ends soon, and what it says about a commit is true."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import datashard
import pytest
import s3_proxy

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])
SECONDS_MAX = 8  # an attempt is given 15 s, a call a minute

# Opens what it needs, waits for a line, does one thing, and says how that ended.
PROGRAM = """
import json, sys, datashard
table = None if sys.argv[1] == "open" else datashard.load_table("t")
if sys.argv[1] == "append":
    table.append_records([{"id": 1}])
if sys.argv[1] == "commit":
    transaction = table.new_transaction()
    transaction.begin()
    transaction.append_data([{"id": 2}])
print("ready", flush=True)
sys.stdin.readline()
try:
    if sys.argv[1] == "open":
        datashard.load_table("t")
    elif sys.argv[1] == "append":
        table.append_records([{"id": 2}])
    elif sys.argv[1] == "commit":
        transaction.commit()
    elif sys.argv[1] == "scan":
        table.scan()
    elif sys.argv[1] == "parallel":
        table.scan(parallel=4)
    elif sys.argv[1] == "arrow":
        table.to_arrow()
    ended = None
except BaseException as error:
    ended = error
print(json.dumps([type(ended).__name__, type(ended.__cause__).__name__, str(ended.__cause__)]), flush=True)
"""


def interrupted(server, what: str, *rules: dict) -> tuple[str, str, str]:
    """Does `what` through a proxy with `rules`, and sends SIGINT once one of them has fired: exception, its cause, what that says."""
    with s3_proxy.before(server.port) as proxy:
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, what], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, env=os.environ | {"DATASHARD_S3_ENDPOINT": proxy.endpoint})
        try:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
            proxy.set_rules(*rules)
            process.stdin.write("go\n")
            process.stdin.flush()
            deadline = time.monotonic() + 20
            while not any(proxy.summary()["fired"]):
                assert time.monotonic() < deadline, "no request came that was to wait"
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=SECONDS_MAX)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == 0, errors
    return tuple(json.loads(out))


def ids() -> list[int]:
    return sorted(row["id"] for row in datashard.load_table("t").scan())


def hang(**which: str) -> dict:
    return {"fault": "hang", **which}


@pytest.mark.parametrize("which", [{"path": "version-hint"}, {"path": r"v1\.metadata"}, {"method": "HEAD"}, {}])
def test_an_open_ends(bucket, which):
    datashard.create_table("t", SCHEMA)
    assert interrupted(bucket, "open", hang(**which))[:2] == ("KeyboardInterrupt", "NoneType")


@pytest.mark.parametrize("what", ["scan", "parallel", "arrow"])
@pytest.mark.parametrize("path", [r"\.avro$", r"\.parquet$"])
def test_a_scan_ends(bucket, what, path):
    table = datashard.create_table("t", SCHEMA)
    for first in range(0, 400_000, 100_000):  # enough for several threads
        table.append_records([{"id": first + 7919 * n % 100_000} for n in range(100_000)])
    assert interrupted(bucket, what, hang(path=path))[:2] == ("KeyboardInterrupt", "NoneType")


@pytest.mark.parametrize("what", ["append", "commit"])
def test_what_was_not_published_is_not_committed(bucket, what):
    datashard.create_table("t", SCHEMA)
    assert interrupted(bucket, what, hang(method="PUT", path=r"\.avro$"))[:2] == ("KeyboardInterrupt", "NoneType")
    assert 2 not in ids()


@pytest.mark.parametrize("what", ["append", "commit"])
@pytest.mark.parametrize("applied", [False, True])
def test_an_open_outcome_is_the_cause(bucket, what, applied):
    datashard.create_table("t", SCHEMA)
    version = {"method": "PUT", "path": r"/v[0-9]+\.metadata"}
    rules = [{"fault": "delay", "seconds": 60, **version} if applied else hang(**version), hang(method="GET|HEAD", path=r"\.metadata")]
    raised, cause, says = interrupted(bucket, what, *rules)
    assert (raised, cause) == ("KeyboardInterrupt", "AmbiguousCommitError") and "metadata.json" in says
    assert ids().count(2) == int(applied)
