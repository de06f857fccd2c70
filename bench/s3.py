"""Runs the benchmark `s3`: what do appends, reads and many writers cost where the bucket is a round trip away?

    python bench/run.py s3 --ours .venv/bin/python --peers .cache/venvs/peers/bin/python [--write docs/benchmarks.md]
        [--native build/release/bench/native] [--rtt 0,10,50] [--writers 1,4,12] [--hosts 4,12,100] [--fair 50]
        [--rounds 6] [--seconds 4] [--long-seconds 30] [--systems NAME;…] [--directory DIR]

One S3 server (dev/s3-server) on loopback, and a proxy that lets it look as far away as --rtt says, for all systems alike. First
one process of each system and distance appends and reads, in turns. Then many processes append at once (many_writers.py): of
one host, and as hosts that share nothing but the bucket. Every answer is checked. Ends with status 1 if this project lost or
repeated a row, or raised; a missed target is reported, not hidden, and does not change the status.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import page
import s3_report
from cases import S3, Case
from delay_proxy import before, exchange_ms
from many_writers import Bench, Place, Run, System, has_own_hosts
from s3_report import Latencies, Rates
from workers import Worker, take_turns

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "dev"))

import s3_server  # noqa: E402

PYTHON_HOSTS_MAX = 12  # more of them are C++ programs: so many Python processes would only measure this machine
ACROSS = "datashard.group-commit-across-hosts"

ADAPTERS = {s3_report.OURS: "datashard_api", s3_report.RELEASED: "datashard_api", s3_report.DELTA: "delta",
            s3_report.ICEBERG: "iceberg_py"}
ONE_HOST = [
    System(s3_report.OURS, "datashard", ours=True),
    System(s3_report.RELEASED, "datashard"),
    System(s3_report.DELTA, "delta"),
    System(s3_report.ICEBERG, "iceberg_py"),
]
HOSTS = [
    System(s3_report.HOSTS, "datashard", ours=True, own_host=True, properties=(f"{ACROSS}=auto",)),
    System(s3_report.HOSTS_ALONE, "datashard", ours=True, own_host=True, properties=(f"{ACROSS}=off",)),
]


@dataclass(frozen=True)
class Bucket:
    """The server at all distances."""

    server: s3_server.Running
    ports: dict[float, int]  # by round trip in ms

    def variables(self, round_trip_ms: float | None) -> dict[str, str]:
        """None: without the proxy."""
        port = self.server.port if round_trip_ms is None else self.ports[round_trip_ms]
        # Arrow's S3 client, which PyIceberg uses, would end its uploads with a checksum that versitygw misreads on kept connections.
        return {**self.server.variables, "DATASHARD_S3_ENDPOINT": f"http://127.0.0.1:{port}",
                "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}

    def place(self, round_trip_ms: float) -> Place:
        return Place(to_write=self.variables(round_trip_ms), to_check=self.variables(None))


@contextlib.contextmanager
def running_bucket(options: argparse.Namespace, scratch: Path) -> Iterator[Bucket]:
    with (s3_server.running(s3_server.Options(keep_alive=True, directory=scratch / "bucket")) as server,
          before(options.native / "delay_proxy", server.port, options.rtt) as ports):
        yield Bucket(server, ports)


def latencies(options: argparse.Namespace, scratch: Path, bucket: Bucket) -> Latencies:
    """One process of each system at each distance, and one of ours without any bucket, on a file system in memory."""
    workers: dict[tuple[str, float | None], Worker] = {}
    cases = [dataclasses.replace(case, repeats=options.rounds) for case in S3]
    with tempfile.TemporaryDirectory(prefix="datashard-bench-", dir="/dev/shm") as memory:
        try:
            workers[s3_report.IN_MEMORY] = Worker(options.ours, ADAPTERS[s3_report.OURS], Path(memory))
            for name in filter(options.wants, ADAPTERS):
                python = options.ours if name == s3_report.OURS else options.peers
                for round_trip in options.rtt:
                    directory = scratch / f"{ADAPTERS[name]}-{len(workers)}"
                    directory.mkdir()
                    workers[name, round_trip] = Worker(python, ADAPTERS[name], directory, bucket.variables(round_trip))
            return measured(cases, workers)
        finally:
            for worker in workers.values():
                worker.close()


def measured(cases: list[Case], workers: dict) -> Latencies:
    rows = next(case.rows for case in cases if "read" in case.action)
    for worker in workers.values():
        worker.call("prepare_read", rows)
    times = take_turns(cases, workers)
    for worker in workers.values():
        worker.call("check_append")
    return times


def turns(options: argparse.Namespace) -> list[tuple[float, int, System]]:
    """Round trip, number of writers, system: in an order that is another for each distance and number."""
    out = []
    for round_trip in options.rtt:
        for writers in sorted({*options.writers, *options.hosts}):
            systems = [system for system in ONE_HOST if writers in options.writers]
            if writers in options.hosts and (writers <= PYTHON_HOSTS_MAX or round_trip == max(options.rtt)):
                systems += HOSTS
            systems = [system for system in systems if options.wants(system.name)]
            out += [(round_trip, writers, system) for system in random.Random(f"{round_trip}/{writers}").sample(systems, len(systems))]
    return out


def written_in(system: System, writers: int) -> System:
    """The same in C++ where there are many of them."""
    return dataclasses.replace(system, program="commit_table") if writers > PYTHON_HOSTS_MAX else system


def long_runs(options: argparse.Namespace) -> argparse.Namespace:
    return argparse.Namespace(**{**vars(options), "seconds": options.long_seconds})


def rates(options: argparse.Namespace, scratch: Path, bucket: Bucket) -> Rates:
    short, long = Bench(options, scratch / "writers"), Bench(long_runs(options), scratch / "crowds")
    found: Rates = {}
    for round_trip, writers, system in turns(options):
        bench = short if writers <= PYTHON_HOSTS_MAX else long
        run = bench.run(written_in(system, writers), writers, bucket.place(round_trip))
        found.setdefault(round_trip, {}).setdefault(system.name, {})[writers] = run
        told(f"{round_trip:g} ms, {writers} writers, {system.name}", run)
    return found


def fairness(options: argparse.Namespace, scratch: Path, bucket: Bucket) -> dict[str, Run]:
    """Of many hosts, at the shortest distance that is one: further away, a turn of everybody would take minutes."""
    bench = Bench(long_runs(options), scratch / "shares")
    round_trip = fair_round_trip(options.rtt)
    found = {}
    for system in filter(lambda system: options.fair and options.wants(system.name), HOSTS):
        run = bench.run(written_in(system, options.fair), options.fair, bucket.place(round_trip))
        found[system.name] = run
        told(f"{round_trip:g} ms, {options.fair} writers, {system.name}", run)
    return found


def fair_round_trip(round_trips: list[float]) -> float:
    return min((one for one in round_trips if one > 0), default=0)


def told(what: str, run: Run) -> None:
    print(f"{what}: {run.summary()}", file=sys.stderr, flush=True)


def parse(arguments: list[str]) -> argparse.Namespace:
    def numbers(kind):
        return lambda text: [kind(one) for one in text.split(",") if one]

    parser = argparse.ArgumentParser(prog="run.py s3", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="interpreter with this project")
    parser.add_argument("--peers", required=True, help="interpreter with the other systems")
    parser.add_argument("--native", type=Path, default=HERE.parent / "build/release/bench/native",
                        help="directory of the proxy and of the C++ writers")
    parser.add_argument("--write", type=Path, help="page whose section is replaced")
    parser.add_argument("--rtt", type=numbers(float), default=[0, 10, 50], help="round trips to add, in ms")
    parser.add_argument("--writers", type=numbers(int), default=[1, 4, 12], help="numbers of processes of one host")
    parser.add_argument("--hosts", type=numbers(int), default=[4, 12, 100], help="numbers of hosts with a process each; may be empty")
    parser.add_argument("--fair", type=int, default=50, help="hosts whose shares are compared; 0: none")
    parser.add_argument("--rounds", type=int, default=6, help="appends and reads of one writer; 0: none")
    parser.add_argument("--seconds", type=float, default=4, help="how long many writers append")
    parser.add_argument("--long-seconds", type=float, default=30, help="the same for more than 12 hosts")
    parser.add_argument("--systems", help="some of: " + "; ".join(system.name for system in ONE_HOST + HOSTS) + " (separated by ;)")
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()), help="where the server keeps its objects")
    options = parser.parse_args(arguments)
    wanted = options.systems.split(";") if options.systems else None
    unknown = {*(wanted or [])} - {system.name for system in ONE_HOST + HOSTS}
    if unknown:
        parser.error(f"unknown systems: {', '.join(sorted(unknown))}")
    options.wants = lambda name: wanted is None or name in wanted
    options.ours, options.peers = os.path.abspath(options.ours), os.path.abspath(options.peers)
    options.native = options.native.resolve()
    return options


def check(options: argparse.Namespace) -> None:
    missing = [name for name in ("delay_proxy", "commit_table") if not (options.native / name).exists()]
    if missing:
        raise SystemExit(f"not in {options.native}: {', '.join(missing)}; run: dev/build.sh bench_native")
    if (options.hosts or options.fair) and not has_own_hosts():
        raise SystemExit("this user cannot give a process a /dev/shm of its own (unshare --mount): run as root, or leave the "
                         "separate hosts out with --hosts= --fair 0")


def distances(bucket: Bucket) -> str:
    """What a bare request takes: the proof that the proxy does what its name says."""
    path = s3_server.HEALTH["versitygw"]
    through = ", ".join(f"{exchange_ms(port, path):.2f} at {round_trip:g}" for round_trip, port in bucket.ports.items())
    return f"A bare request takes {exchange_ms(bucket.server.port, path):.2f} ms without the proxy, and through it {through} ms of round trip."


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    check(options)
    load = os.getloadavg()[0]
    if load > (os.cpu_count() or 1):
        print(f"warning: others keep this machine busy (load {load:.1f}): short round trips then mean little", file=sys.stderr)
    kind = page.file_system_of(options.directory)
    scratch = Path(tempfile.mkdtemp(prefix="datashard-bench-", dir=options.directory))
    try:
        with running_bucket(options, scratch) as bucket:
            far = distances(bucket)
            times = latencies(options, scratch, bucket) if options.rounds else {}
            found = rates(options, scratch, bucket)
            fair = fairness(options, scratch, bucket)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)

    text = (f"{page.machine()}, the server's files on {kind}, load {load:.1f} at the start; {options.rounds} rounds, "
            f"then runs of {options.seconds:g} s, or of {options.long_seconds:g} s for more than {PYTHON_HOSTS_MAX} hosts. {far}\n\n"
            + s3_report.report(times, found, fair, fair_round_trip(options.rtt)))
    print(text)
    if options.write:
        page.write_section(options.write, "s3", text)
    ours = {system.name for system in ONE_HOST + HOSTS if system.ours}
    if any(run.raised or run.lost or run.repeated for name, run in s3_report.all_runs(found, fair) if name in ours):
        raise SystemExit("this project lost, repeated or raised: see the tables")
