"""A writer of dev/stress.py: one process that appends rows to a table, one by one, until it is done, told to stop, or killed.

What it was told lies in a file that driver and writers map into memory, and so outlives a SIGKILL. A lane is one thread's share
of the rows; its row `n` has the id lane * appends + n. bench/native/stress_writer.cc does the same as a C++ program.
"""

from __future__ import annotations

import mmap
import os
import threading
import time
from dataclasses import dataclass

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "writer", "type": "long", "required": True},
    {"id": 3, "name": "note", "type": "string", "required": False},
])


WAIT, GO, STOP = range(3)  # phases
LOOK_SECONDS = 0.1  # between looks for GO: hundreds of writers wait while the others start


class Progress:
    """A mapped file of 64-bit numbers: the phase, which the driver sets, and three for each lane, which its one writer sets."""

    def __init__(self, path: str, lanes: int, create: bool = False):
        size_bytes = 8 * (1 + 3 * lanes)
        if create:
            with open(path, "xb") as file:
                file.truncate(size_bytes)
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), size_bytes)
        self._words = memoryview(self._map).cast("q")  # one store of 8 bytes per item: never seen half
        self.settled = self._words[1:1 + lanes]             # how many of the lane's rows are settled
        self.ready = self._words[1 + lanes:1 + 2 * lanes]   # 1: its table is open
        self.longest_us = self._words[1 + 2 * lanes:]       # its longest append so far, in microseconds

    @property
    def phase(self) -> int:
        return self._words[0]

    @phase.setter
    def phase(self, phase: int) -> None:
        self._words[0] = phase


@dataclass(frozen=True)
class Task:
    """What a writer process does: rows lanes[i][1] … appends - 1 of each of its lanes, a thread for each lane."""

    table: str
    progress: str        # path of the mapped file
    errors: str          # path of a file to which a line is added per append that raised: id, tab, message
    lanes_in_all: int
    appends: int         # rows of a whole lane
    writer: int          # the process's number, for the rows' own information
    row_bytes: int       # of text in each row, at least
    lanes: tuple[tuple[int, int], ...]  # (lane, first row)


def run(task: Task, opened: datashard.Table | None = None, variables: dict[str, str] | None = None) -> None:
    """Appends all rows of `task`, from GO to STOP; an append that raises is noted and the next row follows.

    opened: a table the parent opened before it forked; None: the writer opens its own. variables: for its environment.
    """
    os.environ.update(variables or {})
    table = opened if opened is not None else datashard.load_table(task.table)
    progress = Progress(task.progress, task.lanes_in_all)
    errors = os.open(task.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def work(lane: int, first: int) -> None:
        progress.ready[lane] = 1
        while progress.phase == WAIT:
            time.sleep(LOOK_SECONDS)
        for number in range(first, task.appends):
            if progress.phase == STOP:
                return
            row = lane * task.appends + number
            start = time.monotonic_ns()
            try:
                if not table.append_records([{"id": row, "writer": task.writer, "note": f"{lane}/{number}".ljust(task.row_bytes)}]):
                    raise RuntimeError("append_records returned False")
            except Exception as error:
                text = " ".join(str(error).split())
                os.write(errors, f"{row}\t{type(error).__name__}: {text}\n".encode())
            progress.longest_us[lane] = max(progress.longest_us[lane], (time.monotonic_ns() - start) // 1000)
            progress.settled[lane] = number + 1

    others = [threading.Thread(target=work, args=lane) for lane in task.lanes[1:]]
    for thread in others:
        thread.start()
    work(*task.lanes[0])
    for thread in others:
        thread.join()
