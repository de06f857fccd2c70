"""Lets many processes of one system append at once, for a fixed time, and compares all rows with what was acknowledged.

What a writer does and says stands in commit_worker.py. `commit.py` and `s3.py` say which systems, where and how many.
"""

from __future__ import annotations

import argparse
import array
import collections
import json
import os
import select
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

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
    properties: tuple[str, ...] = ()  # of its table, as NAME=VALUE
    own_host: bool = False            # every writer has a /dev/shm of its own, as on hosts that share nothing but the table


@dataclass(frozen=True)
class Place:
    """Variables of the environment that say where tables lie."""

    to_write: dict[str, str] = field(default_factory=dict)
    to_check: dict[str, str] = field(default_factory=dict)  # and to make the table


LOCAL = Place()
# As root, or where the kernel lets a user be root in a name space of his own.
OWN_HOST = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--mount", "--propagation", "private",
            "sh", "-c", 'mount -t tmpfs tmpfs /dev/shm && exec "$@"', "sh"]


def has_own_hosts() -> bool:
    """Can a process here have a /dev/shm of its own?"""
    return subprocess.run([*OWN_HOST, "true"], stderr=subprocess.DEVNULL).returncode == 0


@dataclass
class Run:
    """What came of one system with one number of writers, once."""

    seconds: float  # how long they appended
    counts: list[int] = field(default_factory=list)  # in-time appends of each writer
    latencies: array.array = field(default_factory=lambda: array.array("d"))  # seconds of each acknowledged append
    raised: int = 0
    raised_there: int = 0  # raised, and yet the row is in the table
    lost: int = 0
    repeated: int = 0
    messages: collections.Counter = field(default_factory=collections.Counter)

    def rate(self) -> float:
        """Commits per second."""
        return sum(self.counts) / self.seconds

    def summary(self) -> str:
        return f"{self.rate():,.1f}/s, {self.raised} raised, {self.lost} lost, {self.repeated} repeated"


class Bench:
    """options: interpreters `ours` and `peers`, directory `native` of C++ programs, `seconds` that a run appends."""

    def __init__(self, options: argparse.Namespace, scratch: Path):
        self.options = options
        self.scratch = scratch
        self.runs = 0

    def _python(self, system: System) -> list[str]:
        python = self.options.ours if system.ours else self.options.peers
        return [os.path.abspath(python), str(HERE / "commit_worker.py"), system.module]

    def _writer(self, system: System, directory: Path) -> list[str]:
        command = [str(self.options.native / system.program)] if system.program else [*self._python(system), "write"]
        return [*(OWN_HOST if system.own_host else []), *command, str(directory)]

    def run(self, system: System, writers: int, place: Place = LOCAL) -> Run:
        self.runs += 1
        home = self.scratch / str(self.runs)
        directory = home / "place"
        directory.mkdir(parents=True)
        subprocess.run([*self._python(system), "create", str(directory), *system.properties], check=True,
                       env={**os.environ, **place.to_check})
        run = Run(self.options.seconds)
        acknowledged, doubtful = self._write(self._writer(system, directory), writers, home, run, {**os.environ, **place.to_write})
        found = collections.Counter(self._found(system, home, run, {**os.environ, **place.to_check}))
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

    def _found(self, system: System, home: Path, run: Run, environment: dict[str, str]) -> array.array:
        """The ids of all rows. A reader that dies is noted; one that dies without an answer is asked twice more."""
        for _ in range(3):
            status = subprocess.run([*self._python(system), "found", str(home / "place")], env=environment).returncode
            answered = (home / "found").exists()
            if status != 0:
                run.raised += 1
                run.messages[f"reading all rows ended with status {status} {'after' if answered else 'without'} the answer"] += 1
            if answered:
                return _read(home / "found", "q")
        raise SystemExit(f"{system.name}: its rows cannot be read; last status {status}")

    def _write(self, command: list[str], writers: int, home: Path, run: Run,
               environment: dict[str, str]) -> tuple[set[int], set[int]]:
        """Lets `writers` processes append at once; fills `run`; returns the ids acknowledged and those that raised."""
        barrier, release = os.pipe()
        processes = []
        for writer in range(writers):
            with open(home / f"errors-{writer}", "wb") as errors:
                processes.append(subprocess.Popen([*command, str(writer), str(self.options.seconds)],
                                                  stdin=barrier, stdout=subprocess.PIPE, stderr=errors, cwd=HERE,
                                                  env=environment))
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
