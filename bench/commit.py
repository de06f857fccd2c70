"""Runs the benchmark `commit`: how many durable one-row commits per second do N writers reach together?

    python bench/run.py commit --ours .venv/bin/python --peers .cache/venvs/peers/bin/python [--write docs/benchmarks.md]
        [--native build/release/bench/native] [--writers 1,2,4,12] [--seconds 4] [--repeats 2] [--systems NAME,…] [--directory DIR]

For each system and number of writers: N processes open the table and append a row, then start together and append for a
fixed time. The systems take turns in changing order. After each run the rows are compared with what was acknowledged.
Ends with status 1 if this project lost or repeated a row, or raised; what others lose or raise is in the tables.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import commit_report
import page
from many_writers import Bench, Run, System

HERE = Path(__file__).resolve().parent

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
                    print(f"repeat {repeat + 1}/{options.repeats}, {writers} writers, {system.name}: {run.summary()}",
                          file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    ordered = {writers: {s.name: rows[s.name] for s in systems if s.name in rows} for writers, rows in results.items()}
    text = (f"{page.machine()}, {kind}, load {load:.1f} at the start; {options.repeats} runs of {options.seconds:g} s each.\n\n"
            + commit_report.report(ordered))
    print(text)
    if options.write:
        page.write_section(options.write, "commit", text)
    own = [run for rows in ordered.values() for s in systems if s.ours for run in rows.get(s.name, [])]
    if any(run.raised or run.lost or run.repeated for run in own):
        raise SystemExit("this project lost, repeated or raised: see the tables")
