"""Drives the writers of dev/stress.py: starts them, kills, stops and replaces them, until all is settled or the time is over."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import datashard
from stress_writer import GO, STOP, Progress, Task, run

STOP_SECONDS = (1.0, 3.0)
STALL_SECONDS = 120.0  # without a single row settled: something hangs, and the run ends
START_SECONDS_MAX = 300.0  # until all writers of a run by time have opened the table
MEMORY_SECONDS = 10.0  # between looks at the memory of all writers
NATIVE_WRITER = Path(__file__).resolve().parents[1] / "build/release/bench/native/stress_writer"


@dataclass(frozen=True)
class Load:
    processes: int = 12
    appends: int = 10_000  # of each process; its threads share them
    threads: int = 1
    seconds: float | None = None  # all start together and stop after so long, wherever they are with their rows
    row_bytes: int = 0  # of text in each row, at least
    native: int = 0  # so many of the processes, the last ones, are C++ programs
    kill_every: float | None = None
    stop_every: float | None = None
    start_method: str = "spawn"
    seed: int = 0
    endpoints: tuple[str, ...] = ()  # of hosts, among which the processes are dealt: by which each reaches the bucket

    def variables(self, number: int) -> dict[str, str]:
        """What the environment of process `number` says besides ours."""
        return {"DATASHARD_S3_ENDPOINT": self.endpoints[number % len(self.endpoints)]} if self.endpoints else {}


class NativeProcess:
    """The C++ writer of `task` behind the face of a multiprocessing process."""

    def __init__(self, task: Task, variables: dict[str, str]):
        lanes = [f"{lane}:{first}" for lane, first in task.lanes]
        self._running = subprocess.Popen([NATIVE_WRITER, task.table, task.progress, task.errors, str(task.lanes_in_all),
                                          str(task.appends), str(task.writer), str(task.row_bytes), *lanes], stdin=subprocess.DEVNULL, env=os.environ | variables)
        self.pid = self._running.pid
        self.kill, self.join = self._running.kill, self._running.wait

    def is_alive(self) -> bool:
        return self._running.poll() is None

    @property
    def exitcode(self) -> int | None:
        return self._running.poll()


@dataclass
class Writer:
    process: multiprocessing.process.BaseProcess | NativeProcess
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
    memory_bytes: int = 0  # the most that all writers together were seen to take

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
        load = self.load
        task = Task(self.table, self.progress_path, self.errors, self.lanes, self.lane_rows, number, load.row_bytes, lanes)
        if number >= load.processes - load.native:
            return Writer(NativeProcess(task, load.variables(number)), number)
        process = self.context.Process(target=run, args=(task, self.opened, load.variables(number)))
        process.start()
        return Writer(process, number)

    def _replace(self, writer: Writer) -> Writer | None:
        """Gives up the rows that a dead writer had under way, and starts the next one behind them."""
        for lane, number in self._left(writer.number):
            self.skipped.add(lane * self.lane_rows + number)
            self.progress.settled[lane] = number + 1
        return None if self.progress.phase == STOP else self._start(writer.number)

    def _start_together(self, writers: list[Writer]) -> None:
        """Returns when all have opened the table."""
        end = time.monotonic() + START_SECONDS_MAX
        while not all(self.progress.ready):
            dead = [writer.number for writer in writers if not writer.process.is_alive()]
            if dead or time.monotonic() > end:
                raise SystemExit(f"{sum(self.progress.ready)} of {self.lanes} writers have opened the table, {len(dead)} are dead")
            time.sleep(0.2)

    def _look_at_memory(self, writers: list[Writer]) -> None:
        self.memory_bytes = max(self.memory_bytes, sum(proportional_bytes(writer.process.pid) for writer in writers))

    def settled(self) -> int:
        return sum(self.progress.settled)

    def run(self, live) -> float:
        """Returns the seconds from the first start to the last row, or those of the load. `live` is called all the time."""
        load = self.load
        start = time.monotonic()
        if not load.seconds:
            self.progress.phase = GO
        writers = [writer for number in range(load.processes) if (writer := self._start(number))]
        pause = max(0.02, load.processes / 2000)  # to look at hundreds of processes takes a while itself
        try:
            if load.seconds:
                self._start_together(writers)
                start = time.monotonic()
                self.progress.phase = GO
            next_kill = start + load.kill_every if load.kill_every else None
            next_stop = start + load.stop_every if load.stop_every else None
            next_memory = start + min(MEMORY_SECONDS, (load.seconds or MEMORY_SECONDS) / 2)
            moved, rows = start, 0
            while writers:
                time.sleep(pause)
                now = time.monotonic()
                if load.seconds and now - start >= load.seconds:
                    self.progress.phase = STOP
                if now >= next_memory and self.progress.phase == GO:
                    next_memory = now + MEMORY_SECONDS
                    self._look_at_memory(writers)
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
        return load.seconds or time.monotonic() - start

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
        left = self._left(writer.number) if self.progress.phase != STOP else ()
        if writer.process.exitcode != 0 or left:
            self.died.append(f"writer {writer.number} ended with status {writer.process.exitcode}, "
                             f"{len(left)} of {self.load.threads} lanes not done")
        return None


def proportional_bytes(pid: int) -> int:
    """Memory of a process, pages it shares counted by its share; 0 where it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    except OSError:
        return 0
