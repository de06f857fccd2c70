"""Runs the benchmark `commit`: how many durable one-row commits per second do N writers reach together?

    python bench/run.py commit --ours .venv/bin/python --peers .cache/venvs/peers/bin/python [--write docs/benchmarks.md]
        [--native build/release/bench/native] [--writers 1,2,4,12] [--seconds 4] [--repeats 2] [--systems NAME,…] [--directory DIR]

For each system and number of writers: N processes open the table and append a row, then start together and append for a
fixed time. The systems take turns in changing order. After each run the rows are compared with what was acknowledged.
Ends with status 1 if this project lost or repeated a row, or raised; what others lose or raise is in the tables.
"""

from __future__ import annotations

import argparse
import array
import collections
import json
import os
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import commit_report
import page
from commit_worker import IDS_PER_WRITER

HERE = Path(__file__).resolve().parent
START_SECONDS_MAX = 180  # to open the table and append a first row, beside all others
END_SECONDS_MAX = 120    # for the append that is under way when the time is over


@dataclass(frozen=True)
class System:
    name: str
    module: str           # of systems/commit
    ours: bool = False    # runs in this project's environment, and a wrong answer is this project's
    program: str = ""     # the C++ program that writes; empty: the module does
    writers_max: int = 1_000


SYSTEMS = [
    System(commit_report.OURS, "datashard", ours=True),
    System(commit_report.OURS_CPP, "datashard", ours=True, program="commit_table"),
    System(commit_report.SQLITE, "sqlite_wal"),
    System("SQLite, C++", "sqlite_wal", program="commit_sqlite"),
    System(commit_report.LOG, "shared_log"),
    System("shared log, C++", "shared_log", program="commit_log"),
    System(commit_report.BARE, "bare", program="bare_commit", writers_max=1),
    System(commit_report.RELEASED, "datashard"),
    System("deltalake", "delta"),
    System("Lance", "lance_format"),
    System("PyIceberg", "iceberg_py"),
]


@dataclass
class Run:
    """What came of one system with one number of writers, once."""

    counts: list[int] = field(default_factory=list)  # in-time appends of each writer
    latencies: array.array = field(default_factory=lambda: array.array("d"))  # seconds of each acknowledged append
    raised: int = 0
    raised_there: int = 0  # raised, and yet the row is in the table
    lost: int = 0
    repeated: int = 0
    messages: collections.Counter = field(default_factory=collections.Counter)


class Bench:
    def __init__(self, options: argparse.Namespace, scratch: Path):
        self.options = options
        self.scratch = scratch
        self.runs = 0

    def _python(self, system: System) -> list[str]:
        python = self.options.ours if system.ours else self.options.peers
        return [os.path.abspath(python), str(HERE / "commit_worker.py"), system.module]

    def run(self, system: System, writers: int) -> Run:
        self.runs += 1
        home = self.scratch / str(self.runs)
        place = home / "place"
        place.mkdir(parents=True)
        subprocess.run([*self._python(system), "create", str(place)], check=True)
        if system.program:
            command = [str(self.options.native / system.program), str(place)]
        else:
            command = [*self._python(system), "write", str(place)]
        run = Run()
        acknowledged, doubtful = self._write(command, writers, home, run)
        found = collections.Counter(self._found(system, home, run))
        run.repeated = sum(found.values()) - len(found)
        run.lost = len(acknowledged - found.keys())
        run.raised_there = len(doubtful & found.keys())
        strays = found.keys() - acknowledged - doubtful
        if strays:
            raise SystemExit(f"{system.name}: rows that nobody appended, such as {sorted(strays)[:3]}")
        # The directory stays until the end: ext4 looks past every inode that was freed within the last minutes when it makes a
        # file, so that what one system removes would be the next one's work.
        os.sync()  # what one system leaves unsynced must not be the next one's work either
        return run

    def _found(self, system: System, home: Path, run: Run) -> array.array:
        """The ids of all rows. A reader that dies is noted; one that dies without an answer is asked twice more."""
        for _ in range(3):
            status = subprocess.run([*self._python(system), "found", str(home / "place")]).returncode
            answered = (home / "found").exists()
            if status != 0:
                run.raised += 1
                run.messages[f"reading all rows ended with status {status} {'after' if answered else 'without'} the answer"] += 1
            if answered:
                return _read(home / "found", "q")
        raise SystemExit(f"{system.name}: its rows cannot be read; last status {status}")

    def _write(self, command: list[str], writers: int, home: Path, run: Run) -> tuple[set[int], set[int]]:
        """Lets `writers` processes append at once; fills `run`; returns the ids acknowledged and those that raised."""
        barrier, release = os.pipe()
        processes = []
        for writer in range(writers):
            with open(home / f"errors-{writer}", "wb") as errors:
                processes.append(subprocess.Popen([*command, str(writer), str(self.options.seconds)],
                                                  stdin=barrier, stdout=subprocess.PIPE, stderr=errors, cwd=HERE))
        os.close(barrier)
        deadline = time.monotonic() + START_SECONDS_MAX
        for process in processes:
            ready = select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            if not ready or process.stdout.readline() != b"ready\n":
                process.kill()
        os.close(release)  # the end of their common input: all start now
        acknowledged: set[int] = set()
        doubtful: set[int] = set()
        deadline = time.monotonic() + self.options.seconds + END_SECONDS_MAX
        for writer, process in enumerate(processes):
            try:
                answer = process.communicate(timeout=max(0.1, deadline - time.monotonic()))[0]
            except subprocess.TimeoutExpired:
                process.kill()
                answer = process.communicate()[0]
            self._account(writer, process.returncode, answer, home, run, acknowledged, doubtful)
        return acknowledged, doubtful

    def _account(self, writer: int, status: int, answer: bytes, home: Path, run: Run, acknowledged: set[int],
                 doubtful: set[int]) -> None:
        first = writer * IDS_PER_WRITER
        if status != 0 and answer.endswith(b"}\n"):
            run.raised += 1
            run.messages[f"a writer ended with status {status} after its report"] += 1
        elif status != 0:
            # Nobody knows what it was told: any row of its may be there, and it counts as one error.
            text = (home / f"errors-{writer}").read_text(errors="replace").strip().splitlines()
            run.counts.append(0)
            run.raised += 1
            run.messages[f"a writer ended with status {status}: {text[-1][:200] if text else 'no message'}"] += 1
            doubtful.update(range(first, first + 1_000_000))
            return
        report = json.loads(answer)
        raised = {first + number for number, _ in report["raised"]}
        doubtful |= raised
        acknowledged.update(set(range(first, first + report["attempts"])) - raised)
        run.counts.append(report["in_time"])
        run.raised += len(raised)
        run.messages.update(message[:120] for _, message in report["raised"])
        run.latencies.extend(_read(home / f"latencies-{writer}", "d"))


def _read(path: Path, code: str) -> array.array:
    values = array.array(code)
    values.frombytes(path.read_bytes())
    return values


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py commit", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="interpreter with this project")
    parser.add_argument("--peers", required=True, help="interpreter with the other systems")
    parser.add_argument("--native", type=Path, default=HERE.parent / "build/release/bench/native", help="directory of the C++ writers")
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    parser.add_argument("--writers", default="1,2,4,12", help="numbers of writers")
    parser.add_argument("--seconds", type=float, default=4, help="how long each run appends")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--systems", help="some of: " + "; ".join(system.name for system in SYSTEMS) + " (separated by ;)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where tables are made: a disk, not memory")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    options.native = options.native.resolve()
    systems = SYSTEMS
    if options.systems:
        wanted = [name.strip() for name in options.systems.split(";")]
        unknown = set(wanted) - {system.name for system in SYSTEMS}
        if unknown:
            raise SystemExit(f"unknown systems: {', '.join(sorted(unknown))}")
        systems = [system for system in SYSTEMS if system.name in wanted]
    missing = [system.program for system in systems if system.program and not (options.native / system.program).exists()]
    if missing:
        raise SystemExit(f"not in {options.native}: {', '.join(missing)}; run: dev/build.sh bench_native")
    kind = page.file_system_of(options.directory)
    if kind in ("tmpfs", "ramfs", "overlay"):
        print(f"warning: {options.directory} is {kind}; syncs cost other than on a disk (--directory)", file=sys.stderr)

    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1):
        print(f"warning: others keep this machine busy (load {load:.1f}): a lone writer then waits for a core after each sync, "
              "many writers hardly do, and the ratios mean little", file=sys.stderr)

    results: dict[int, dict[str, list[Run]]] = {int(n): {} for n in options.writers.split(",")}
    scratch = Path(tempfile.mkdtemp(prefix="datashard-bench-", dir=options.directory))
    try:
        bench = Bench(options, scratch)
        for repeat in range(options.repeats):
            for writers, rows in results.items():
                turn = [system for system in systems if writers <= system.writers_max]
                for system in random.Random(f"{repeat}/{writers}").sample(turn, len(turn)):
                    run = bench.run(system, writers)
                    rows.setdefault(system.name, []).append(run)
                    print(f"repeat {repeat + 1}/{options.repeats}, {writers} writers, {system.name}: "
                          f"{sum(run.counts) / options.seconds:,.1f}/s, {run.raised} raised, {run.lost} lost, "
                          f"{run.repeated} repeated", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    ordered = {writers: {s.name: rows[s.name] for s in systems if s.name in rows} for writers, rows in results.items()}
    text = (f"{page.machine()}, {kind}, load {load:.1f} at the start; {options.repeats} runs of {options.seconds:g} s each.\n\n"
            + commit_report.report(ordered, options.seconds))
    print(text)
    if options.write:
        page.write_section(options.write, "commit", text)
    own = [run for rows in ordered.values() for s in systems if s.ours for run in rows.get(s.name, [])]
    if any(run.raised or run.lost or run.repeated for run in own):
        raise SystemExit("this project lost, repeated or raised: see the tables")
