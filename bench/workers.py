"""A system's process, and calls to its adapter."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


class Worker:
    """`module` of systems/, in an interpreter of its own; see worker.py. `directory` is there."""

    def __init__(self, python: str, module: str, directory: Path):
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), module, str(directory)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE)

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
