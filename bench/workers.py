"""A system's process, calls to its adapter, and systems that take turns."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TypeVar

from cases import Case

HERE = Path(__file__).resolve().parent
Name = TypeVar("Name", bound=Hashable)


class Worker:
    """`module` of systems/, in an interpreter of its own; see worker.py. `directory` is there, `variables` are added to the environment."""

    def __init__(self, python: str, module: str, directory: Path, variables: dict[str, str] | None = None):
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), module, str(directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE, env={**os.environ, **(variables or {})})

    def call(self, name: str, *arguments):
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"call": name, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended early (status {self.process.wait()}) in {name}{arguments}")
        return json.loads(line)["value"]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def take_turns(cases: list[Case], workers: dict[Name, Worker],
               takes_part: Callable[[Case, Name], bool] = lambda case, name: True) -> dict[str, dict[Name, list[float]]]:
    """Case → worker → seconds of each repeat."""
    times: dict[str, dict[Name, list[float]]] = {}
    for case in cases:
        rows: dict[Name, list[float]] = {}
        names = [name for name in workers if takes_part(case, name)]
        for repeat in range(case.repeats + 1):
            # Who follows whom changes: a system that does not sync leaves its writes to the next one's sync.
            for name in random.Random(repeat).sample(names, len(names)):
                seconds = workers[name].call(case.action, case.rows)
                if repeat > 0:  # the first round warms up
                    rows.setdefault(name, []).append(seconds)
            print(f"\r{case.name}: {repeat}/{case.repeats}   ", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)
        times[case.name] = rows
    return times
