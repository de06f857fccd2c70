"""What people do who have no table: many processes read a JSON file, add a row and replace it. For comparison only."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path


def append_to_plain_file(path: str, writer: int, appends: int) -> None:
    """Read, add, replace in one step: nobody reads half a file, and still one writer's rows replace another's."""
    mine = Path(f"{path}.{writer}")
    for number in range(appends):
        rows = json.loads(Path(path).read_text())
        rows.append(writer * appends + number)
        mine.write_text(json.dumps(rows))
        os.replace(mine, path)


def stress_plain_file(path: str, processes: int, appends: int) -> dict:
    """Lets `processes` processes add `appends` rows each to one file; says how many are left."""
    Path(path).write_text("[]")
    context = multiprocessing.get_context("spawn")
    start = time.monotonic()
    running = [context.Process(target=append_to_plain_file, args=(path, writer, appends)) for writer in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    seconds = time.monotonic() - start
    failed = sum(process.exitcode != 0 for process in running)
    if failed:
        raise SystemExit(f"plain file: {failed} of {processes} processes failed")
    expected = processes * appends
    found = len(set(json.loads(Path(path).read_text())))
    return {"expected": expected, "found": found, "lost": expected - found, "seconds": round(seconds, 2)}
