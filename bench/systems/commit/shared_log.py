"""One log that all writers share: a line by O_APPEND, then fdatasync. The least that durable and shared can cost."""

from __future__ import annotations

import json
import os

from cases import make_records


def create(directory: str) -> None:
    with open(os.path.join(directory, "log"), "xb") as log:
        os.fsync(log.fileno())


class Writer:
    def __init__(self, directory: str):
        self.log = os.open(os.path.join(directory, "log"), os.O_WRONLY | os.O_APPEND)

    def append(self, row_id: int) -> None:
        line = (json.dumps(make_records(1, row_id)[0]) + "\n").encode()
        if os.write(self.log, line) != len(line):
            raise OSError("short write")
        os.fdatasync(self.log)

    def recover(self) -> None:
        """Nothing to do."""


def found(directory: str) -> list[int]:
    with open(os.path.join(directory, "log"), encoding="utf-8") as log:
        return [json.loads(line)["id"] for line in log]
