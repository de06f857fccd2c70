"""Runs one benchmark: all systems take turns, case by case, repeat by repeat; prints minima and ratios.

    python bench/run.py append --ours .venv/bin/python --peers .cache/venvs/peers/bin/python [--write docs/benchmarks.md]

Ends with status 1 if an answer was wrong. A missed target is reported, not hidden, and does not change the status.
`commit` (many processes at once), `flat` (long histories), `s3` (a bucket far away) and `shards` (sharded snapshots) have options of
their own: see the modules of these names.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import page  # noqa: E402
from cases import BENCHES, Case  # noqa: E402
from workers import Worker, take_turns  # noqa: E402

OURS = "datashard (this)"
OTHERS = ("commit", "flat", "s3", "shards")


def systems_of(bench: str, ours: str, peers: str) -> dict[str, tuple[str, str]]:
    """Name → (interpreter, adapter)."""
    bare = "pyarrow write + fsync" if bench == "append" else "pyarrow same file"
    return {
        OURS: (ours, "datashard_api"),
        "datashard 0.11.2": (peers, "datashard_api"),
        bare: (ours, "pyarrow_file"),
        "deltalake": (peers, "delta"),
        "PyIceberg": (peers, "iceberg_py"),
    }


def verdicts(case: Case, rows: dict[str, list[float]]) -> list[str]:
    lines = []
    own = min(rows[OURS])
    for target in case.targets:
        other = min(rows[target.system])
        if target.at_most:
            ratio, reached = own / other, own / other <= target.times
            lines.append(f"{ratio:.2f}x {target.system} (target: at most {target.times:g}x) {'reached' if reached else 'MISSED'}")
        else:
            ratio, reached = other / own, other / own >= target.times
            lines.append(f"{ratio:.1f}x faster than {target.system} (target: {target.times:g}x) {'reached' if reached else 'MISSED'}")
    return lines


def table(bench: str, times: dict[str, dict[str, list[float]]]) -> str:
    systems = list(dict.fromkeys(name for rows in times.values() for name in rows))
    out = ["| case | " + " | ".join(systems) + " |", "|---" * (len(systems) + 1) + "|"]
    for name, rows in times.items():
        cells = [f"{min(rows[s]) * 1e3:.2f} / {statistics.median(rows[s]) * 1e3:.2f}" if s in rows else "–" for s in systems]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    out.append("")
    out.append("Milliseconds, minimum / median. Ratios of minima against the targets:")
    out.append("")
    for case in BENCHES[bench]:
        for line in verdicts(case, times[case.name]):
            out.append(f"- {case.name}: {line}")
    return "\n".join(out)


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in OTHERS:
        importlib.import_module(sys.argv[1]).main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", choices=sorted([*BENCHES, *OTHERS]))
    parser.add_argument("--ours", required=True, help="interpreter with this project")
    parser.add_argument("--peers", required=True, help="interpreter with the other systems")
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    options = parser.parse_args()

    scratch = Path(tempfile.mkdtemp(prefix="datashard-bench-"))
    workers: dict[str, Worker] = {}
    try:
        for number, (name, (python, module)) in enumerate(systems_of(options.bench, options.ours, options.peers).items()):
            (scratch / str(number)).mkdir()
            workers[name] = Worker(os.path.abspath(python), module, scratch / str(number))
        if options.bench == "read":
            rows = BENCHES["read"][0].rows
            shared = workers[OURS].call("prepare_read", rows)
            for name, worker in workers.items():
                if name.startswith("pyarrow"):
                    worker.call("use_file", shared)
                elif name != OURS:
                    worker.call("prepare_read", rows)
        times = take_turns(BENCHES[options.bench], workers,
                           lambda case, name: not (case.action == "create" and name.startswith("pyarrow")))
        if options.bench == "append":
            for worker in workers.values():
                worker.call("check_append")
        text = f"{page.machine()}.\n\n" + table(options.bench, times)
        print(text)
        if options.write:
            page.write_section(options.write, options.bench, text)
    finally:
        for worker in workers.values():
            worker.close()
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
