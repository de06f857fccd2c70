"""A writer of dev/stress.py: one process that appends rows to a table, one by one, until it is done or killed.

What it was told lies in a file that driver and writers map into memory, and so outlives a SIGKILL: a 64-bit number per lane,
how many of the lane's rows are settled. A lane is one thread's share of the rows; its row `n` has the id lane * appends + n.
"""

from __future__ import annotations

import mmap
import os
import threading
from dataclasses import dataclass

import datashard

SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "writer", "type": "int", "required": True},
    {"id": 3, "name": "note", "type": "string", "required": False},
])


class Progress:
    """The settled rows of each lane: a mapped file, one writer per lane, any number of readers."""

    def __init__(self, path: str, lanes: int, create: bool = False):
        if create:
            with open(path, "xb") as file:
                file.truncate(8 * lanes)
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 8 * lanes)
        self.settled = memoryview(self._map).cast("q")  # one store of 8 bytes per item: never seen half


@dataclass(frozen=True)
class Task:
    """What a writer process does: rows lanes[i][1] … appends - 1 of each of its lanes, a thread for each lane."""

    table: str
    progress: str        # path of the mapped file
    errors: str          # path of a file to which a line is added per append that raised: id, tab, message
    lanes_in_all: int
    appends: int         # rows of a whole lane
    writer: int          # the process's number, for the rows' own information
    lanes: tuple[tuple[int, int], ...]  # (lane, first row)


def run(task: Task, opened: datashard.Table | None = None) -> None:
    """Appends all rows of `task`; an append that raises is noted and the next row follows.

    opened: a table the parent opened before it forked; None: the writer opens its own.
    """
    table = opened if opened is not None else datashard.load_table(task.table)
    progress = Progress(task.progress, task.lanes_in_all)
    errors = os.open(task.errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def work(lane: int, first: int) -> None:
        for number in range(first, task.appends):
            row = lane * task.appends + number
            try:
                if not table.append_records([{"id": row, "writer": task.writer, "note": f"{lane}/{number}"}]):
                    raise RuntimeError("append_records returned False")
            except Exception as error:
                text = " ".join(str(error).split())
                os.write(errors, f"{row}\t{type(error).__name__}: {text}\n".encode())
            progress.settled[lane] = number + 1

    others = [threading.Thread(target=work, args=lane) for lane in task.lanes[1:]]
    for thread in others:
        thread.start()
    work(*task.lanes[0])
    for thread in others:
        thread.join()
