"""A process of the benchmark `commit`: makes a table, writes to it beside others, or says which rows are there.

    commit_worker.py MODULE create DIRECTORY [NAME=VALUE…]
    commit_worker.py MODULE write DIRECTORY WRITER SECONDS
    commit_worker.py MODULE found DIRECTORY

A writer opens its table and appends one row, prints "ready", waits for the end of its standard input, which all writers
share, and appends one row after another for SECONDS. Row ids are WRITER * 10,000,000 + number. Then it prints one line of JSON:
    attempts        numbers used, those of the warm-up included
    in_time         appends acknowledged before the time was over
    raised          [number, message] of each append that raised; its row may be there or not
    warm_up_raised  how many of them belong to the warm-up
and leaves the seconds of each acknowledged append in DIRECTORY/../latencies-WRITER as doubles. `found` leaves the ids of all
rows in DIRECTORY/../found as 64-bit integers. C++ writers (bench/native/writer.h) do the same.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import sys
import time
import warnings

IDS_PER_WRITER = 10_000_000
WARM_UP_ATTEMPTS = 50


def write(system, directory: str, writer: int, seconds: float, ready) -> dict:
    """What the module's docstring says about a writer; calls `ready` after the warm-up, returns the report."""
    target = system.Writer(directory)
    append = target.append
    first = writer * IDS_PER_WRITER
    raised: list[tuple[int, str]] = []
    number = 0
    while True:
        number += 1
        try:
            append(first + number - 1)
            break
        except Exception as error:
            if number == WARM_UP_ATTEMPTS:
                raise
            raised.append((number - 1, _text(error)))
            target.recover()
    warm_up_raised = len(raised)
    ready()
    while os.read(0, 1):
        pass

    clock = time.perf_counter
    latencies = array.array("d")
    in_time = 0
    now = clock()
    deadline = now + seconds
    while now < deadline:
        start = now
        number += 1
        try:
            append(first + number - 1)
        except Exception as error:
            raised.append((number - 1, _text(error)))
            target.recover()
            now = clock()
            continue
        now = clock()
        latencies.append(now - start)
        in_time += now <= deadline
    _leave(directory, f"latencies-{writer}", latencies)
    return {"attempts": number, "in_time": in_time, "warm_up_raised": warm_up_raised, "raised": raised}


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _leave(directory: str, name: str, values: array.array) -> None:
    """Whole or not at all: a process that dies meanwhile must not look like one that found fewer rows."""
    path = os.path.join(directory, "..", name)
    with open(path + ".part", "wb") as out:
        values.tofile(out)
    os.replace(path + ".part", path)


def main() -> None:
    module, action, directory = sys.argv[1:4]
    warnings.simplefilter("ignore")
    # What a library prints must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    system = importlib.import_module(f"systems.commit.{module}")
    if action == "create":
        system.create(directory, **dict(one.split("=", 1) for one in sys.argv[4:]))
    elif action == "found":
        _leave(directory, "found", array.array("q", system.found(directory)))
    else:
        report = write(system, directory, int(sys.argv[4]), float(sys.argv[5]), lambda: print("ready", file=answers, flush=True))
        print(json.dumps(report), file=answers, flush=True)


if __name__ == "__main__":
    main()
