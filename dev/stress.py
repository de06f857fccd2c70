"""The product's own stress: P processes append N rows each to one table, one row at a time, and nothing may be lost.

    .venv/bin/python dev/stress.py [--processes 12] [--appends 100] [--plain-files] [--table DIR]

With --plain-files the same load first goes to a JSON file that every process reads, extends and replaces, as people do who
have no table: the comparison shows what is lost. Ends with status 1 if the table lost or repeated a row.
"""

from __future__ import annotations

import argparse
import collections
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "writer", "type": "int", "required": True},
    {"id": 3, "name": "note", "type": "string", "required": False},
])


def append_to_table(path: str, writer: int, appends: int, done) -> None:
    table = datashard.load_table(path)
    for number in range(appends):
        table.append_records([{"id": writer * appends + number, "writer": writer, "note": f"{writer}/{number}"}])
        with done.get_lock():
            done.value += 1


def append_to_plain_file(path: str, writer: int, appends: int, done) -> None:
    """Read, add, replace in one step: nobody reads half a file, and still one writer's rows replace another's."""
    mine = Path(f"{path}.{writer}")
    for number in range(appends):
        rows = json.loads(Path(path).read_text())
        rows.append(writer * appends + number)
        mine.write_text(json.dumps(rows))
        os.replace(mine, path)
        with done.get_lock():
            done.value += 1


def run(worker, path: str, processes: int, appends: int, label: str) -> float:
    """Runs `worker` in `processes` processes with a live line; returns the seconds it took."""
    context = multiprocessing.get_context("spawn")
    done = context.Value("l", 0)
    start = time.monotonic()
    running = [context.Process(target=worker, args=(path, number, appends, done)) for number in range(processes)]
    for process in running:
        process.start()
    total = processes * appends
    live = sys.stderr.isatty()
    while any(process.is_alive() for process in running):
        time.sleep(0.1)
        if live:
            seconds = time.monotonic() - start
            print(f"\r{label}: {done.value:,} of {total:,}, {done.value / seconds:,.0f}/s ", end="", file=sys.stderr)
    if live:
        print("\r\033[K", end="", file=sys.stderr)
    failed = [process.exitcode for process in running if process.exitcode != 0]
    if failed:
        raise SystemExit(f"{label}: {len(failed)} of {processes} processes failed")
    return time.monotonic() - start


def stress_table(path: str, processes: int, appends: int) -> bool:
    datashard.create_table(path, SCHEMA)
    seconds = run(append_to_table, path, processes, appends, "table")
    total = processes * appends
    found = collections.Counter(row["id"] for row in datashard.load_table(path).scan(columns=["id"]))
    lost = total - len(found)
    twice = sum(count - 1 for count in found.values())
    print(f"   table:       {len(found):>7,} of {total:,} rows, {lost:,} lost, {twice:,} twice "
          f"({total / seconds:,.0f} durable commits a second)")
    return lost == 0 and twice == 0


def stress_plain_file(path: str, processes: int, appends: int) -> None:
    Path(path).write_text("[]")
    seconds = run(append_to_plain_file, path, processes, appends, "plain file")
    total = processes * appends
    kept = len(set(json.loads(Path(path).read_text())))
    print(f"   plain file:  {kept:>7,} of {total:,} rows, {total - kept:,} lost ({total / seconds:,.0f} writes a second, not synced)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--appends", type=int, default=100, help="by each process")
    parser.add_argument("--plain-files", action="store_true", help="also let a plain file lose the same rows")
    parser.add_argument("--table", help="directory of the table; default: a temporary one that is removed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="datashard-stress-") as scratch:
        if options.plain_files:
            stress_plain_file(os.path.join(scratch, "rows.json"), options.processes, options.appends)
        ok = stress_table(options.table or os.path.join(scratch, "table"), options.processes, options.appends)
    print("   verdict:     nothing lost, nothing twice" if ok else "   verdict:     ROWS WERE LOST OR REPEATED")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
