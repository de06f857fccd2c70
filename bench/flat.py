"""Runs the benchmark `flat`: does a commit, an opening, a reading cost the same whatever history a table has?

    python bench/run.py flat --ours .venv/bin/python [--write docs/benchmarks.md] [--native build/release/bench/native]
        [--histories 100,10000,100000,1000000] [--rounds 20] [--memory-appends 2000] [--directory DIR] [--keep]

Makes a table for each history (make_history), whose current state is the same: 100 files of one row. The tables take turns,
round by round, in changing order. Every answer is checked. Ends with status 1 if one was wrong; a missed target is
reported, not hidden, and does not change the status.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import flat_report
import page
from flat_report import Figures
from workers import Worker

HERE = Path(__file__).resolve().parent
LIVE_ROWS = 100         # of the current state, as make_history makes it
APPENDS_PER_ROUND = 16
READABLE = 40           # old snapshots of each table whose rows are there
NEWEST = 1_000


class History:
    """A made table, and what its figures will be."""

    def __init__(self, directory: Path, snapshots: int, options: argparse.Namespace, all_live: bool = False):
        self.snapshots = snapshots
        self.path = directory / f"{'live' if all_live else 'history'}-{snapshots}"
        command = [str(options.native / "make_history"), str(self.path), str(snapshots)]
        command += ["--all-live"] if all_live else ["--readable", str(READABLE)]
        self.made = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        self.ours = os.path.abspath(options.ours)
        self.figures = Figures()
        self.next_id = snapshots + 1
        self.rows = snapshots if all_live else LIVE_ROWS

    def start(self) -> Worker:
        worker = Worker(self.ours, "flat_table", self.path)
        rows = worker.call("open", self.next_id)
        if rows != self.rows:
            raise SystemExit(f"{self.path} has {rows} rows, expected {self.rows}")
        return worker

    def append(self, worker: Worker, count: int, counted: bool) -> None:
        answer = worker.call("append", count)
        self.next_id += count
        self.rows += count
        if counted:
            self.figures.append_seconds += answer["seconds"]
            self.figures.append_bytes += answer["bytes"]

    def read(self, worker: Worker, counted: bool) -> None:
        opened, read = worker.call("open_and_read", self.snapshots + 1 - LIVE_ROWS, LIVE_ROWS)
        if counted:
            self.figures.open_seconds.append(opened)
            self.figures.read_seconds.append(read)

    def travel(self, worker: Worker, round_number: int, counted: bool) -> None:
        """To a moment at random, and to the rows of a snapshot at random."""
        chance = random.Random(f"{self.snapshots}/{round_number}")
        sequence_number = chance.randint(1, self.made["made_by_hand"])
        moment = self.made["first_timestamp_ms"] + (sequence_number - 1) * self.made["step_ms"] + chance.randrange(self.made["step_ms"])
        found = worker.call("travel", moment, sequence_number)
        if counted:
            self.figures.travel_seconds.append(found)
        if self.made["readable"]:
            snapshot_id, row_id, _ = chance.choice(self.made["readable"])
            read = worker.call("read_at", snapshot_id, row_id)
            if counted:
                self.figures.read_at_seconds.append(read)


def rounds(histories: list[History], workers: list[Worker], count: int, what: str,
           step: Callable[[History, Worker, int, bool], None]) -> None:
    """`count` rounds and one before them that warms up; who follows whom changes."""
    pairs = list(zip(histories, workers, strict=True))
    for number in range(count + 1):
        for history, worker in random.Random(f"{what}/{number}").sample(pairs, len(pairs)):
            step(history, worker, number, number > 0)
        print(f"\r{what}: {number}/{count}   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def appends(histories: list[History], count: int, what: str) -> None:
    workers = [history.start() for history in histories]
    rounds(histories, workers, count, what, lambda h, w, _, counted: h.append(w, APPENDS_PER_ROUND, counted))
    for worker in workers:
        worker.close()


def memory(histories: list[History], count: int) -> None:
    """The peak of a process that makes `count` appends and nothing else."""
    for history in histories:
        worker = history.start()
        history.append(worker, count, counted=False)
        history.figures.peak_bytes = worker.call("peak_bytes")
        worker.close()
        print(f"\rmemory: {history.snapshots:,}   ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def measure(histories: list[History], options: argparse.Namespace) -> None:
    os.sync()  # what made the tables must not be the first one's work
    workers = [history.start() for history in histories]
    rounds(histories, workers, options.rounds, "open and read", lambda h, w, _, counted: h.read(w, counted))
    rounds(histories, workers, 2 * options.rounds, "time travel", lambda h, w, number, counted: h.travel(w, number, counted))
    for history, worker in zip(histories, workers, strict=True):
        history.figures.list_seconds = worker.call("list_newest", min(NEWEST, history.snapshots))
        worker.close()
    appends(histories, options.rounds, "append")
    memory(histories, options.memory_appends)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py flat", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="interpreter with this project")
    parser.add_argument("--peers", help="not used: nobody else keeps such histories")
    parser.add_argument("--native", type=Path, default=HERE.parent / "build/release/bench/native", help="directory of make_history")
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    parser.add_argument("--histories", default="100,10000,100000,1000000", help="numbers of snapshots")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--memory-appends", type=int, default=2000)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where tables are made: a disk, not memory")
    parser.add_argument("--keep", action="store_true", help="leave the tables where they are")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    options.native = options.native.resolve()
    options.directory.mkdir(parents=True, exist_ok=True)
    if not (options.native / "make_history").exists():
        raise SystemExit(f"not in {options.native}: make_history; run: dev/build.sh bench_native")
    kind = page.file_system_of(options.directory)
    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1):
        print(f"warning: others keep this machine busy (load {load:.1f}): medians then say who got a core", file=sys.stderr)
    lengths = [int(length) for length in options.histories.split(",")]
    scratch = Path(tempfile.mkdtemp(prefix="datashard-bench-", dir=options.directory))
    try:
        histories = [History(scratch, length, options) for length in lengths]
        measure(histories, options)
        print("\n".join(flat_report.table({h.snapshots: h.figures for h in histories}, flat_report.LINES)), file=sys.stderr)
        live = [History(scratch, length, options, all_live=True) for length in lengths]
        os.sync()
        appends(live, options.rounds, "append, all files live")
    finally:
        if not options.keep:
            shutil.rmtree(scratch, ignore_errors=True)

    text = (f"{page.machine()}, {kind}, load {load:.1f} at the start; {options.rounds} rounds of {APPENDS_PER_ROUND} appends.\n\n"
            + flat_report.report({h.snapshots: h.figures for h in histories}, {h.snapshots: h.figures for h in live}))
    print(text)
    if options.write:
        page.write_section(options.write, "flat", text)
