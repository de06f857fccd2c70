"""What the benchmark `s3` asks of a system's process works in a bucket, with nothing but variables set."""

from __future__ import annotations

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

from workers import Worker  # noqa: E402


def test_a_process_appends_reads_and_checks(server, tmp_path):
    worker = Worker(sys.executable, "datashard_api", tmp_path, server.variables)
    try:
        assert worker.call("prepare_read", 1000) == ""
        for action in ("append_dicts", "append_arrow"):
            assert worker.call(action, 10) > 0
        for action in ("read_newest", "open_and_read"):
            assert worker.call(action, 1000) > 0
        worker.call("check_append")
    finally:
        worker.close()
    assert list(tmp_path.iterdir()) == []
