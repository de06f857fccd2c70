"""The product's own stress: P processes append N rows each to one table, one row at a time, and nothing may be lost.

    make stress STRESS_FLAGS="--processes 12 --appends 1000"
    make stress STRESS_FLAGS="--writers 500 --native 400 --seconds 60"
    make stress STRESS_FLAGS="--processes 8 --threads 8 --appends 12504 --faults 0.1"
    .venv/bin/python dev/stress.py --processes 12 --appends 1000 --kill-every 1 --stop-every 3 --plain-files

Writers may be killed (SIGKILL) and stopped (SIGSTOP, later SIGCONT) meanwhile; a killed one is replaced by a new one that goes
on with the remaining rows. In the end every row whose append returned must be there exactly once. Rows whose append was cut
off by a kill may be there or not: at most one for each thread of a killed writer. Ends with status 1 where that does not hold.
With --seconds all writers start together once every one has opened the table, and it is said how evenly they got on.

With --s3 the table lies in a bucket of a local server; --faults 0.1 lets a tenth of all requests fail on the way to it, before or
after they were applied, or arrive late (dev/stress_s3.py). An append may then say that its outcome is unknown: its row may be
there, once. One that was refused must not be there. --hosts 4 deals the processes among four hosts, which share no memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import time

import datashard
import stress_check
import stress_s3
from stress_driver import NATIVE_WRITER, Driver, Load
from stress_plain import stress_plain_file
from stress_writer import SCHEMA

PLAIN_APPENDS_MAX = 500  # every append rewrites the whole file
APPENDS_BY_TIME = 1_000_000  # of each process where the time ends the run: more than anybody can make


def stress_table(path: str, load: Load, snapshots: int = 3, live=lambda driver, seconds: None, faults: bool = False) -> dict:
    """Creates table `path`, runs `load` on it and checks it; the result of stress_check.verdict and what the driver saw."""
    table = datashard.create_table(path, SCHEMA)
    with tempfile.TemporaryDirectory(prefix="datashard-stress-") as scratch:
        driver = Driver(path, load, scratch)
        seconds = driver.run(live)
        raised = stress_check.read_errors(driver.errors)
        acknowledged = {lane * driver.lane_rows + number for lane in range(driver.lanes)
                        for number in range(driver.progress.settled[lane])} - driver.skipped - raised.keys()
    result = {"processes": load.processes, "native": load.native, "threads": load.threads, "appends": driver.lane_rows * load.threads,
              "start_method": load.start_method, "seed": load.seed, "killed": driver.killed, "stopped": driver.stopped}
    result |= stress_check.verdict(table, acknowledged, driver.skipped, raised, driver.died, snapshots, driver.choice, faults)
    result |= {"seconds": round(seconds, 2), "appends_per_second": round(len(acknowledged) / seconds, 1),
               "memory_bytes": driver.memory_bytes}
    if load.seconds:
        first_native = (load.processes - load.native) * load.threads
        kinds = {"Python": range(first_native), "C++": range(first_native, driver.lanes)}
        result["fairness"] = {kind: stress_check.fairness([driver.progress.settled[lane] for lane in lanes],
                                                          [driver.progress.longest_us[lane] for lane in lanes])
                              for kind, lanes in kinds.items() if lanes}
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
        aim = f"{seconds:.0f} of {driver.load.seconds:.0f} s" if driver.load.seconds else f"of {driver.rows:,}"
        print(f"\r\033[K   {speed:,.0f} appends/s, {rows:,} rows {aim}, {driver.killed} killed, {driver.stopped} stopped",
              end="", file=sys.stderr, flush=True)
        self.last, self.next = (seconds, rows), seconds + 0.5

    def close(self) -> None:
        if self.on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", "--writers", type=int, default=12)
    parser.add_argument("--native", type=int, default=0, help="how many of the processes are C++ programs")
    parser.add_argument("--appends", type=int, help="rows of each process, one append each; default 10,000, or with --seconds no limit")
    parser.add_argument("--row-bytes", type=int, default=0, help="of text in each row, at least")
    parser.add_argument("--seconds", type=float, help="all start together and stop after so long")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process; they share its rows")
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="SIGKILL a random writer and replace it")
    parser.add_argument("--stop-every", type=float, metavar="SECONDS", help="SIGSTOP a random writer for 1 to 3 seconds")
    parser.add_argument("--start-method", choices=("fork", "spawn"), default="spawn", help="fork: writers use their parent's open table")
    parser.add_argument("--snapshots", type=int, default=3, help="how many random snapshots are read, by id and by time")
    parser.add_argument("--plain-files", action="store_true",
                        help=f"first let a plain JSON file lose the same load (at most {PLAIN_APPENDS_MAX} rows a process)")
    parser.add_argument("--table", help="directory of the table, which must not exist; default: a temporary one that is removed")
    parser.add_argument("--s3", action="store_true", help="the table lies in a bucket of a local S3 server")
    parser.add_argument("--faults", type=float, metavar="SHARE", help="of the requests to the bucket that fail or are delayed; implies --s3")
    parser.add_argument("--hosts", type=int, default=1, help="among which the processes are dealt; implies --s3")
    parser.add_argument("--server", default="versitygw", help="the S3 server of --s3: versitygw or minio")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="who is killed and stopped, and what fails")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    options = parser.parse_args()
    if options.appends is None:
        options.appends = APPENDS_BY_TIME * options.threads if options.seconds else 10_000
    for name in ("processes", "appends", "threads"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be at least 1")
    if options.appends % options.threads:
        parser.error(f"--appends {options.appends} cannot be shared evenly by {options.threads} threads")
    if not 0 <= options.native <= options.processes:
        parser.error(f"--native must be from 0 to --processes, {options.processes}")
    if options.native and not NATIVE_WRITER.exists():
        parser.error(f"--native needs {NATIVE_WRITER.name}; run: dev/build.sh {NATIVE_WRITER.name}")
    for name in ("seconds", "kill_every", "stop_every"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be more than 0 seconds")
    if options.faults is not None and not 0 < options.faults <= 1:
        parser.error("--faults must be more than 0 and at most 1")
    if not 1 <= options.hosts <= options.processes:
        parser.error(f"--hosts must be from 1 to --processes, {options.processes}")
    in_bucket = options.s3 or options.faults is not None or options.hosts > 1
    if in_bucket and (options.table or options.start_method == "fork"):
        parser.error("--s3 makes a bucket of its own and starts each writer anew; leave out --table and --start-method fork")
    if options.table and os.path.exists(options.table):
        parser.error(f"--table {options.table} exists already; the check needs a table of its own")

    result = {}
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="datashard-stress-"))
        if options.plain_files:
            result["plain_file"] = stress_plain_file(os.path.join(scratch, "rows.json"), options.processes,
                                                     min(options.appends, PLAIN_APPENDS_MAX))
            if not options.json:
                print(stress_check.plain_line(result["plain_file"]), flush=True)
        bucket = stack.enter_context(stress_s3.bucket(options.hosts, options.faults or 0, options.seed, options.server)) if in_bucket else None
        load = Load(options.processes, options.appends, options.threads, options.seconds, options.row_bytes, options.native,
                    options.kill_every, options.stop_every, options.start_method, options.seed, tuple(bucket.endpoints) if bucket else ())
        path = stress_s3.TABLE if bucket else options.table or os.path.join(scratch, "table")
        live = LiveLine()
        try:
            result["table"] = stress_table(path, load, options.snapshots, live, faults=bool(options.faults))
        finally:
            live.close()
        if bucket:
            result["table"] |= {"hosts": options.hosts, "faults": bucket.faults(), "requests": bucket.requests()}
        # Before the table is removed: some disks take minutes for that.
        print(json.dumps(result) if options.json else stress_check.table_lines(result["table"]), flush=True)
    sys.exit(0 if result["table"]["ok"] else 1)


if __name__ == "__main__":
    main()
