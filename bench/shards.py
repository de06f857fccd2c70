"""The benchmark `shards`: building snapshots of a million pairs and looking keys up, beside bare loops over SQLite, Python's
sqlite3 and the SlateDB engine. All take turns in one run, every answer is checked; build and lookup rates of ours count against theirs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from pathlib import Path

import page
from cases import Case
from workers import Worker, take_turns

BARE, PYTHON, SLATEDB = "bare C loop, sqlite3", "Python sqlite3", "slatedb engine, Python"
SQLITE, SLATE = "ours, SQLite", "ours, SlateDB"
MEMORY_BUDGET = 512 << 20
STORED_MAX = 1.15
OPEN_CPU_MS_MAX = 50


def systems(ours: str, peers: str) -> dict[str, tuple[str, str, dict[str, str]]]:
    """Name → (interpreter, adapter, environment)."""
    return {
        BARE: (ours, "shards.bare", {}),
        PYTHON: (ours, "shards.python_sqlite", {}),
        SLATEDB: (peers, "shards.slatedb_py", {}),
        SQLITE: (ours, "shards.ours", {"SHARDS_BENCH_FORMAT": "sqlite"}),
        SLATE: (ours, "shards.ours", {"SHARDS_BENCH_FORMAT": "slatedb"}),
    }


def cases(rows: int, lookups: int, repeats: int) -> dict[Case, tuple[str, ...]]:
    """Case → who takes part."""
    few, many = max(lookups // 20, 1), lookups * 5
    both = (SQLITE, SLATE)
    return {
        Case("sorted insert", "build_sorted", rows, repeats): (BARE,),
        Case("sorted insert and VACUUM", "build_packed", rows, repeats): (BARE,),
        Case("build from Arrow", "build_arrow", rows, repeats): both,
        Case("build from tuples", "build_tuples", rows, repeats): (PYTHON, *both),
        Case("build from tuples, the engine", "build_tuples", rows // 10, 1): (SLATEDB,),
        Case("get", "get", lookups, repeats): (BARE, PYTHON, *both),
        Case("get, two threads", "get_two_threads", lookups, repeats): both,
        Case("multi_get of 1,000", "multi_get", lookups, repeats): both,
        Case("get, C++", "cpp_get", many, repeats): both,
        Case("get, C++, two threads", "cpp_get_two_threads", many, repeats): both,
        Case("async get", "async_get", lookups, repeats): both,
        Case("async get, the engine", "async_get", few, repeats): (SLATEDB,),
    }


class Rates:
    """Rows or lookups a second: the best of the repeats."""

    def __init__(self, times: dict[str, dict[str, list[float]]], counts: dict[str, int]):
        self.times, self.counts = times, counts

    def of(self, case: str, system: str) -> float:
        return self.counts[case] / min(self.times[case][system])


def targets(rates: Rates) -> list[tuple[str, float, float]]:
    """What, the ratio that was measured, the ratio it has to reach."""
    insert, get = rates.of("sorted insert", BARE), rates.of("get", BARE)
    engine = rates.of("async get, the engine", SLATEDB)
    rows = []
    for system, arrow, single in ((SQLITE, 0.7, 0.75), (SLATE, 1.5, 1.0)):
        python = rates.of("get", system)
        rows += [
            (f"{system}: build from Arrow / bare insert loop", rates.of("build from Arrow", system) / insert, arrow),
            (f"{system}: build from tuples / bare insert loop", rates.of("build from tuples", system) / insert, 0.3),
            (f"{system}: get from Python / bare lookup loop", python / get, single),
            (f"{system}: get from two Python threads / bare lookup loop", rates.of("get, two threads", system) / get, 1.1 * single),
            (f"{system}: multi_get / bare lookup loop", rates.of("multi_get of 1,000", system) / get, 1.5),
            (f"{system}: get in C++ / bare lookup loop", rates.of("get, C++", system) / get, 1 / 1.15),
            (f"{system}: get in C++, two threads / one", rates.of("get, C++, two threads", system) / rates.of("get, C++", system), 1.8),
            (f"{system}: async get / async get of the engine", rates.of("async get", system) / engine, 10),
        ]
    return rows


def verdict(name: str, value: str, limit: str, reached: bool) -> str:
    return f"- {name}: {value} (target: {limit}) {'reached' if reached else 'MISSED'}"


def table(rates: Rates) -> list[str]:
    lines = ["| case | " + " | ".join((BARE, PYTHON, SLATEDB, SQLITE, SLATE)) + " |", "|---" * 6 + "|"]
    for case, rows in rates.times.items():
        cells = [f"{rates.of(case, system):,.0f}" if system in rows else "" for system in (BARE, PYTHON, SLATEDB, SQLITE, SLATE)]
        lines.append(f"| {case} | " + " | ".join(cells) + " |")
    return lines


def report(rates: Rates, rows: int, stored: dict[str, int], open_cpu: dict[str, list[float]], peaks: dict[str, int], stream_rows: int) -> str:
    plain = rows * 108
    lines = ["Rows or lookups a second, the best of the repeats:", "", *table(rates), ""]
    lines += [verdict(name, f"{ratio:.2f}x", f"at least {least:.3g}x", ratio >= least) for name, ratio, least in targets(rates)]
    for system, size in stored.items():
        ratio = size / plain
        text = f"{system}: stored bytes / keys and values"
        lines.append(verdict(text, f"{ratio:.3f}x", f"at most {STORED_MAX}x", ratio <= STORED_MAX) if system in (SQLITE, SLATE) else
                     f"- {text}: {ratio:.3f}x")
    for system, seconds in open_cpu.items():
        cpu = statistics.median(seconds) * 1e3
        lines.append(verdict(f"{system}: open 1,000 shards and first get, CPU", f"{cpu:.1f} ms", f"below {OPEN_CPU_MS_MAX} ms", cpu < OPEN_CPU_MS_MAX))
    for system, peak in peaks.items():
        lines.append(verdict(f"{system}: memory of a build of {stream_rows:,} pairs in no order", f"{peak / 2**20:.0f} MiB",
                             f"at most {MEMORY_BUDGET / 2**20:.0f} MiB, the budget", peak <= MEMORY_BUDGET))
    return "\n".join(lines)


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="run.py shards", description=__doc__)
    parser.add_argument("--ours", required=True, type=os.path.abspath, help="interpreter with this project")
    parser.add_argument("--peers", required=True, type=os.path.abspath, help="interpreter with the SlateDB engine")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--lookups", type=int, default=200_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--stream-rows", type=int, default=10_000_000, help="of the build whose memory is measured; 0 leaves it out")
    parser.add_argument("--directory", type=Path, default=None, help="where files go meanwhile; default: the system's temporary directory")
    parser.add_argument("--write", type=Path, default=None, help="the page whose section is replaced")
    return parser.parse_args(argv)


def main(argv: list[str]) -> None:
    arguments = parse(argv)
    scratch = Path(tempfile.mkdtemp(prefix="shards-", dir=arguments.directory))
    workers = {name: Worker(python, module, scratch, variables)
               for name, (python, module, variables) in systems(arguments.ours, arguments.peers).items()}
    try:
        plan = cases(arguments.rows, arguments.lookups, arguments.repeats)
        takes_part = {case.name: names for case, names in plan.items()}
        builds = [case for case in plan if case.action.startswith("build")]
        times = take_turns(builds, workers, lambda case, name: name in takes_part[case.name])
        stored = {name: worker.call("prepare", arguments.rows if name != SLATEDB else arguments.rows // 10)
                  for name, worker in workers.items()}
        stored[SLATEDB] *= 10
        times |= take_turns([case for case in plan if case not in builds], workers, lambda case, name: name in takes_part[case.name])
        open_cpu = {name: [workers[name].call("open_many_shards", 1_000) for _ in range(3)] for name in (SQLITE, SLATE)}
        for worker in workers.values():
            worker.close()
        workers.clear()
        peaks = {}
        for name, (python, module, variables) in systems(arguments.ours, arguments.peers).items():
            if name in (SQLITE, SLATE) and arguments.stream_rows:
                worker = Worker(python, module, scratch, variables)
                peaks[name] = worker.call("build_stream", arguments.stream_rows)
                worker.close()
        rates = Rates(times, {case.name: case.rows for case in plan})
        text = f"{page.machine()}; {page.file_system_of(scratch)}; {arguments.rows:,} pairs of 8 + 100 bytes, 8 shards.\n\n"
        text += report(rates, arguments.rows, stored, open_cpu, peaks, arguments.stream_rows)
    finally:
        for worker in workers.values():
            worker.close()
        shutil.rmtree(scratch, ignore_errors=True)
    print(text)
    if arguments.write:
        page.write_section(arguments.write, "shards", text)
