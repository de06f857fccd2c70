"""The product's own stress: P processes append N rows each to one table, one row at a time, and nothing may be lost.

    make stress STRESS_FLAGS="--processes 12 --appends 1000"
    .venv/bin/python dev/stress.py --processes 12 --appends 1000 --kill-every 1 --stop-every 3 --plain-files

Writers may be killed (SIGKILL) and stopped (SIGSTOP, later SIGCONT) meanwhile; a killed one is replaced by a new one that goes
on with the remaining rows. In the end every row whose append returned must be there exactly once. Rows whose append was cut
off by a kill may be there or not: at most one for each thread of a killed writer. Ends with status 1 where that does not hold.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field

import datashard
import stress_check
from stress_plain import stress_plain_file
from stress_writer import SCHEMA, Progress, Task, run

STOP_SECONDS = (1.0, 3.0)
STALL_SECONDS = 120.0  # without a single row settled: something hangs, and the run ends
PLAIN_APPENDS_MAX = 500  # every append rewrites the whole file


@dataclass(frozen=True)
class Load:
    processes: int = 12
    appends: int = 10_000  # of each process; its threads share them
    threads: int = 1
    kill_every: float | None = None
    stop_every: float | None = None
    start_method: str = "spawn"
    seed: int = 0


@dataclass
class Writer:
    process: multiprocessing.process.BaseProcess
    number: int
    stopped_until: float | None = None
    killed: bool = False  # by us


@dataclass
class Driver:
    """Starts the writers, kills, stops and replaces them, until all rows are settled."""

    table: str
    load: Load
    scratch: str
    skipped: set[int] = field(default_factory=set)  # rows whose append was cut off by a kill
    killed: int = 0
    stopped: int = 0
    died: list[str] = field(default_factory=list)  # writers that ended without being told to

    def __post_init__(self) -> None:
        load = self.load
        self.lanes = load.processes * load.threads
        self.lane_rows = load.appends // load.threads
        self.rows = self.lanes * self.lane_rows
        self.errors = os.path.join(self.scratch, "errors")
        self.progress_path = os.path.join(self.scratch, "progress")
        self.progress = Progress(self.progress_path, self.lanes, create=True)
        self.context = multiprocessing.get_context(load.start_method)
        self.choice = random.Random(load.seed)
        # Under fork the writers go on with the table their parent opened, as programs do.
        self.opened = datashard.load_table(self.table) if load.start_method == "fork" else None

    def _left(self, number: int) -> tuple[tuple[int, int], ...]:
        """(lane, next row) of those lanes of process `number` that are not done."""
        mine = range(number * self.load.threads, (number + 1) * self.load.threads)
        return tuple((lane, self.progress.settled[lane]) for lane in mine if self.progress.settled[lane] < self.lane_rows)

    def _start(self, number: int) -> Writer | None:
        """A writer for what is left of process `number`'s rows; None where nothing is."""
        lanes = self._left(number)
        if not lanes:
            return None
        task = Task(self.table, self.progress_path, self.errors, self.lanes, self.lane_rows, number, lanes)
        process = self.context.Process(target=run, args=(task, self.opened))
        process.start()
        return Writer(process, number)

    def _replace(self, writer: Writer) -> Writer | None:
        """Gives up the rows that a dead writer had under way, and starts the next one behind them."""
        for lane, number in self._left(writer.number):
            self.skipped.add(lane * self.lane_rows + number)
            self.progress.settled[lane] = number + 1
        return self._start(writer.number)

    def settled(self) -> int:
        return sum(self.progress.settled)

    def run(self, live) -> float:
        """Returns the seconds from the first start to the last row. `live` is called every few hundredths of a second."""
        load = self.load
        start = time.monotonic()
        next_kill = start + load.kill_every if load.kill_every else None
        next_stop = start + load.stop_every if load.stop_every else None
        moved, rows = start, 0
        writers = [writer for number in range(load.processes) if (writer := self._start(number))]
        try:
            while writers:
                time.sleep(0.02)
                now = time.monotonic()
                if self.settled() > rows:
                    moved, rows = now, self.settled()
                elif now - moved > STALL_SECONDS:
                    self.died.append(f"{len(writers)} writers, and no row for {STALL_SECONDS:.0f} s: they hang")
                    break
                for writer in writers:
                    if writer.stopped_until is not None and now >= writer.stopped_until:
                        os.kill(writer.process.pid, signal.SIGCONT)
                        writer.stopped_until = None
                if next_kill is not None and now >= next_kill:
                    next_kill = now + load.kill_every
                    self._kill(self.choice.choice(writers))
                if next_stop is not None and now >= next_stop:
                    next_stop = now + load.stop_every
                    self._stop(self.choice.choice(writers), now)
                writers = [left for writer in writers if (left := self._look(writer)) is not None]
                live(self, now - start)
        finally:
            for writer in writers:
                writer.process.kill()
                writer.process.join()
        return time.monotonic() - start

    def _kill(self, writer: Writer) -> None:
        writer.process.kill()
        writer.process.join()
        if writer.process.exitcode == -signal.SIGKILL:  # it may have ended by itself just before
            writer.killed = True
            self.killed += 1

    def _stop(self, writer: Writer, now: float) -> None:
        if writer.process.is_alive() and writer.stopped_until is None:
            os.kill(writer.process.pid, signal.SIGSTOP)
            writer.stopped_until = now + self.choice.uniform(*STOP_SECONDS)
            self.stopped += 1

    def _look(self, writer: Writer) -> Writer | None:
        """The writer itself while it runs, its successor if it was killed, None if it is done."""
        if writer.process.is_alive():
            return writer
        if writer.killed:
            return self._replace(writer)
        if writer.process.exitcode != 0 or self._left(writer.number):
            self.died.append(f"writer {writer.number} ended with status {writer.process.exitcode}, "
                             f"{len(self._left(writer.number))} of {self.load.threads} lanes not done")
        return None


def stress_table(path: str, load: Load, snapshots: int = 3, live=lambda driver, seconds: None) -> dict:
    """Creates table `path`, runs `load` on it and checks it; the result of stress_check.verdict and what the driver saw."""
    table = datashard.create_table(path, SCHEMA)
    with tempfile.TemporaryDirectory(prefix="datashard-stress-") as scratch:
        driver = Driver(path, load, scratch)
        seconds = driver.run(live)
        raised = stress_check.read_errors(driver.errors)
        acknowledged = {lane * driver.lane_rows + number for lane in range(driver.lanes)
                        for number in range(driver.progress.settled[lane])} - driver.skipped - raised.keys()
    result = {"processes": load.processes, "threads": load.threads, "appends": driver.lane_rows * load.threads,
              "start_method": load.start_method, "seed": load.seed, "killed": driver.killed, "stopped": driver.stopped}
    result |= stress_check.verdict(table, acknowledged, driver.skipped, raised, driver.died, snapshots, driver.choice)
    result |= {"seconds": round(seconds, 2), "appends_per_second": round(len(acknowledged) / seconds, 1)}
    return result


class LiveLine:
    """One line on a terminal that is written over; nothing where standard error is a file."""

    def __init__(self) -> None:
        self.on = sys.stderr.isatty()
        self.next = 0.0
        self.last = (0.0, 0)

    def __call__(self, driver: Driver, seconds: float) -> None:
        if not self.on or seconds < self.next:
            return
        rows, (last_seconds, last_rows) = driver.settled(), self.last
        speed = (rows - last_rows) / max(seconds - last_seconds, 0.01)
        print(f"\r\033[K   {speed:,.0f} appends/s, {rows:,} of {driver.rows:,} rows, {driver.killed} killed, {driver.stopped} stopped",
              end="", file=sys.stderr, flush=True)
        self.last, self.next = (seconds, rows), seconds + 0.5

    def close(self) -> None:
        if self.on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--appends", type=int, default=10_000, help="rows of each process, one append each")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process; they share its rows")
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="SIGKILL a random writer and replace it")
    parser.add_argument("--stop-every", type=float, metavar="SECONDS", help="SIGSTOP a random writer for 1 to 3 seconds")
    parser.add_argument("--start-method", choices=("fork", "spawn"), default="spawn", help="fork: writers use their parent's open table")
    parser.add_argument("--snapshots", type=int, default=3, help="how many random snapshots are read, by id and by time")
    parser.add_argument("--plain-files", action="store_true",
                        help=f"first let a plain JSON file lose the same load (at most {PLAIN_APPENDS_MAX} rows a process)")
    parser.add_argument("--table", help="directory of the table, which must not exist; default: a temporary one that is removed")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="who is killed and stopped")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    options = parser.parse_args()
    for name in ("processes", "appends", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if options.appends % options.threads:
        parser.error(f"--appends {options.appends} cannot be shared evenly by {options.threads} threads")
    for name in ("kill_every", "stop_every"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be more than 0 seconds")
    if options.table and os.path.exists(options.table):
        parser.error(f"--table {options.table} exists already; the check needs a table of its own")

    load = Load(options.processes, options.appends, options.threads, options.kill_every, options.stop_every,
                options.start_method, options.seed)
    result = {}
    with tempfile.TemporaryDirectory(prefix="datashard-stress-") as scratch:
        if options.plain_files:
            result["plain_file"] = stress_plain_file(os.path.join(scratch, "rows.json"), load.processes,
                                                     min(load.appends, PLAIN_APPENDS_MAX))
            if not options.json:
                print(stress_check.plain_line(result["plain_file"]), flush=True)
        live = LiveLine()
        try:
            result["table"] = stress_table(options.table or os.path.join(scratch, "table"), load, options.snapshots, live)
        finally:
            live.close()
    if options.json:
        print(json.dumps(result))
    else:
        print(stress_check.table_lines(result["table"]))
    sys.exit(0 if result["table"]["ok"] else 1)


if __name__ == "__main__":
    main()
