"""One table with a history, for the benchmark `flat`: appends, reads and travels in time, each answer checked."""

from __future__ import annotations

import re
import time
from pathlib import Path

import datashard
from cases import make_records


class Adapter:
    def __init__(self, directory: str):
        self.path = directory
        self.table = None
        self.next_id = 0

    def open(self, next_id: int) -> int:
        """Opens the table that `append` and `travel` use. Returns its number of rows."""
        self.table = datashard.load_table(self.path)
        self.next_id = next_id
        return self.table.row_count()

    def append(self, count: int) -> dict:
        """One row each: the seconds of each append, and the bytes handed to write(2) by all of them."""
        rows = self.table.row_count()
        seconds = []
        before = _written_bytes()
        for _ in range(count):
            record = make_records(1, self.next_id)
            start = time.perf_counter()
            assert self.table.append_records(record)
            seconds.append(time.perf_counter() - start)
            self.next_id += 1
        written = _written_bytes() - before
        assert self.table.row_count() == rows + count, f"{self.table.row_count()} rows, expected {rows + count}"
        return {"seconds": seconds, "bytes": written}

    def open_and_read(self, first_id: int, rows: int) -> list[float]:
        """Seconds to open the table with a new handle, and to read its current state with that."""
        start = time.perf_counter()
        table = datashard.load_table(self.path)
        opened = time.perf_counter()
        ids = table.to_arrow(columns=["id"])["id"]
        read = time.perf_counter()
        assert ids.to_pylist() == list(range(first_id, first_id + rows)), f"{len(ids)} ids from {ids[0]}"
        return [opened - start, read - opened]

    def travel(self, moment_ms: int, sequence_number: int) -> float:
        """Seconds of time_travel on an open handle; `sequence_number` is of the snapshot that was current then."""
        start = time.perf_counter()
        found = self.table.time_travel(timestamp=moment_ms)
        seconds = time.perf_counter() - start
        assert found.sequence_number == sequence_number, f"{found} at {moment_ms}, expected {sequence_number}"
        return seconds

    def read_at(self, snapshot_id: int, row_id: int) -> float:
        """Seconds to read an old snapshot whose only row has the id `row_id`."""
        start = time.perf_counter()
        rows = self.table.scan(columns=["id"], snapshot_id=snapshot_id)
        seconds = time.perf_counter() - start
        assert rows == [{"id": row_id}], f"{rows} at {snapshot_id}, expected {row_id}"
        return seconds

    def list_newest(self, count: int) -> float:
        """Seconds of snapshots(limit=count)."""
        start = time.perf_counter()
        found = self.table.snapshots(limit=count)
        seconds = time.perf_counter() - start
        assert len(found) == count
        return seconds

    def peak_bytes(self) -> int:
        """The most memory this process has had."""
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def _written_bytes() -> int:
    return int(re.search(r"^wchar: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)[1])
