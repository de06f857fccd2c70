"""The line on a terminal, and Ctrl-C."""

from __future__ import annotations

import os
import pty
import socket
import signal
import subprocess
import sys
import time

import pytest

WRITE = """
import sys, time
from shardyfusion import HashShardedWriteConfig, PythonRecordInput
from shardyfusion.writer.python import write_hash_sharded

def rows():
    for number in range({count}):
        if number % 2000 == 0:
            time.sleep(0.06)
            print("row", number, flush=True)
        yield number

config = HashShardedWriteConfig(num_dbs=2, s3_prefix={prefix!r})
write_hash_sharded(rows(), config, PythonRecordInput(lambda n: n, lambda n: b"v"))
"""


def test_a_terminal_shows_rows_and_rate(tmp_path):
    ours, theirs = pty.openpty()
    program = WRITE.format(count=20_000, prefix=f"file://{tmp_path}/s")
    done = subprocess.run([sys.executable, "-c", program], stderr=theirs, stdout=subprocess.DEVNULL, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    assert "rows/s" in shown and "20,000 rows, building the shards" in shown and "\n" not in shown


def test_a_pipe_is_told_nothing(tmp_path):
    program = WRITE.format(count=4000, prefix=f"file://{tmp_path}/s")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == ""


def test_ctrl_c_ends_a_write_and_leaves_nothing(tmp_path):
    program = WRITE.format(count=10**9, prefix=f"file://{tmp_path}/s")
    writing = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writing.stdout.readline() == "row 0\n" and writing.stdout.readline() == "row 2000\n"
    writing.send_signal(signal.SIGINT)
    _, errors = writing.communicate(timeout=60)
    assert writing.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
    assert not list(tmp_path.glob("s/shards/*")) and not list(tmp_path.glob("s/_CURRENT"))


def test_ctrl_c_ends_a_wait_for_the_limit(tmp_path):
    program = f"""
from shardyfusion import HashShardedWriteConfig, PythonRecordInput
from shardyfusion.writer.python import write_hash_sharded
print("begin", flush=True)
config = HashShardedWriteConfig(num_dbs=1, s3_prefix="file://{tmp_path}/s", max_writes_per_second=1, batch_size=1)
write_hash_sharded(range(1000), config, PythonRecordInput(lambda n: n, lambda n: b"v"))
"""
    writing = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert writing.stdout.readline() == "begin\n"
    time.sleep(1.5)
    writing.send_signal(signal.SIGINT)
    _, errors = writing.communicate(timeout=60)
    assert writing.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
    assert not list(tmp_path.glob("s/shards/*/*"))


OPENINGS = {
    "threads": "ShardedReader(s3_prefix='s3://bucket/p', local_root='x', **access)",
    "tasks": "asyncio.run(AsyncShardedReader.open(s3_prefix='s3://bucket/p', local_root='x', **access))",
    "writer": "write_hash_sharded([1], HashShardedWriteConfig(num_dbs=1, s3_prefix='s3://bucket/p', **access), "
              "PythonRecordInput(lambda n: n, lambda n: b''))",
}


@pytest.mark.parametrize("opening", sorted(OPENINGS))
def test_ctrl_c_ends_a_wait_for_a_bucket(opening, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = f"""
import asyncio
from shardyfusion import AsyncShardedReader, HashShardedWriteConfig, PythonRecordInput, ShardedReader, StaticCredentialProvider
from shardyfusion.writer.python import write_hash_sharded
access = dict(credential_provider=StaticCredentialProvider("k", "s"),
              s3_connection_options=dict(endpoint_url="http://127.0.0.1:{silent.getsockname()[1]}", region_name="us-east-1"))
{OPENINGS[opening]}
"""
        waiting = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        silent.accept()
        waiting.send_signal(signal.SIGINT)
        _, errors = waiting.communicate(timeout=60)
    assert waiting.returncode == -signal.SIGINT and "KeyboardInterrupt" in errors
