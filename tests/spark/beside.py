"""What the tests with Spark share: its process, our writers beside it, and the verdict over all rows."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import datashard

HERE = Path(__file__).resolve().parent
HOME = Path(os.environ.get("DATASHARD_SPARK_HOME", HERE.parents[1] / ".cache/venvs/spark"))
SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True}, {"id": 2, "name": "who", "type": "string"}])


def installed_jar(artifact: str) -> Path | None:
    """A jar that `make spark` installs; None where it is not there."""
    return next(HOME.glob(f"ivy/jars/*_{artifact}-*.jar"), None)


def iceberg_jar() -> Path | None:
    return installed_jar("iceberg-spark-runtime")


class SparkRefused(Exception):
    """Spark answered with an error; the text is Spark's."""


class Spark:
    """A Spark of its own process with a Hadoop catalog named `ours` on the directory `warehouse`."""

    def __init__(self, warehouse: Path, log: Path, under: list[str] = (), settings: dict[str, str] | None = None):
        """under: a command to run it under, such as strace and its options. log: gets Spark's standard error. settings: Spark's."""
        self.warehouse = warehouse
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(
                [*under, str(HOME / "bin/python"), str(HERE / "spark_peer.py"), str(iceberg_jar()), str(warehouse),
                 json.dumps(settings or {})],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True)
        ready = self._process.stdout.readline()
        assert ready == '"ready"\n', f"Spark did not start; see {log}"

    def __call__(self, statement: str) -> list[dict]:
        """Rows of a statement. Raises SparkRefused."""
        self._process.stdin.write(json.dumps(statement) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise SparkRefused(answer["error"])
        return answer["rows"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)


class Writers:
    """Processes that append one row after the other until told to stop; `acknowledged` are the ids of those that returned.

    At most 100 rows a second each: every row is a file that the verdict opens, and Spark takes its time.
    """

    PROGRAM = """
import datashard, json, sys, threading
path, number = sys.argv[1], int(sys.argv[2])
table, stop = datashard.load_table(path), threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.is_set():
    table.append_records([{"id": number, "who": "ours"}])
    print(number, flush=True)
    number += 1
    stop.wait(0.01)
print(json.dumps(table.metrics()))
"""

    def __init__(self, path: Path, count: int):
        self.acknowledged: set[int] = set()
        self.metrics: collections.Counter = collections.Counter()
        self._processes = [subprocess.Popen([sys.executable, "-c", self.PROGRAM, str(path), str(1_000_000 * (n + 1))],
                                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for n in range(count)]
        self._listeners = [threading.Thread(target=self._listen, args=(process,)) for process in self._processes]
        for listener in self._listeners:
            listener.start()

    def _listen(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            if line.startswith("{"):
                self.metrics.update(json.loads(line))
            else:
                self.acknowledged.add(int(line))

    def stop(self) -> None:
        """Lets each finish the append it is in."""
        for process in self._processes:
            process.stdin.close()
        for listener in self._listeners:
            listener.join()
        assert [process.wait() for process in self._processes] == [0] * len(self._processes)


def new_table(spark: Spark, name: str, **properties: str) -> tuple[datashard.Table, Path]:
    """Our table at the place that Spark knows as ours.db.<name>."""
    path = spark.warehouse / "db" / name
    path.parent.mkdir(exist_ok=True)
    return datashard.create_table(str(path), SCHEMA, properties=properties), path


def head_of(path: Path) -> int:
    """The highest version there is. Names of old versions stay, so it is counted, not looked up in the hint."""
    return max(int(name[1:].split(".")[0]) for name in os.listdir(path / "metadata")
               if name.startswith("v") and name.endswith(".metadata.json"))


def expect_every_row_once(spark: Spark, path: Path, rows: set[int], refused: set[int] = frozenset()) -> None:
    """Spark and we find exactly `rows`, each once, and nothing that was refused."""
    assert not rows & refused
    ours = collections.Counter(row["id"] for row in datashard.load_table(str(path)).scan(columns=["id"]))
    theirs = {row["id"]: row["n"] for row in spark(f"SELECT id, count(*) AS n FROM ours.db.{path.name} GROUP BY id")}
    for who, found in (("we", ours), ("Spark", theirs)):
        assert not rows - found.keys(), f"{who} miss {len(rows - found.keys())} rows"
        assert not refused & found.keys(), f"{who} find rows that Spark was refused"
        assert not found.keys() - rows, f"{who} find {len(found.keys() - rows)} rows that nobody was told are there"
        assert set(found.values()) == {1}, f"{who} find rows twice"
