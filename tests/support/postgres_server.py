"""A PostgreSQL server for a test: its own directory, a socket in it, nothing left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

START_S_MAX = 60


def binaries() -> Path:
    """The directory of the newest server that Debian's package has put there."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("no PostgreSQL server below /usr/lib/postgresql; install the Debian package postgresql")
    return found[-1].parent


class Server:
    """A server that runs. `connect()` gives a new connection, `dsn` says how others get one."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn)


@contextmanager
def running() -> Iterator[Server]:
    """Starts a server with one empty database; stops and removes it at the end."""
    # The server refuses to be root's; Debian's package brings the user.
    user: dict[str, Any] = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
    directory = Path(tempfile.mkdtemp(prefix="postgres-"))
    process = None
    try:
        if user:
            shutil.chown(directory, "postgres", "postgres")
        log = directory / "log"
        made = subprocess.run([binaries() / "initdb", "-D", directory / "data", "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C",
                               "--no-sync"], cwd=directory, capture_output=True, text=True, **user)
        if made.returncode != 0:
            raise RuntimeError(f"initdb failed:\n{made.stderr}")
        with open(log, "wb") as output:
            process = subprocess.Popen([binaries() / "postgres", "-D", directory / "data", "-k", directory, "-c", "listen_addresses=",
                                        "-c", "fsync=off", "-c", "timezone=Asia/Tokyo"], cwd=directory, stdout=output, stderr=output, **user)
        server = Server(f"host={directory} user=tests dbname=postgres")
        _wait_for(server, process, log)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # a fast shutdown: open connections are ended
            process.wait(START_S_MAX)
        shutil.rmtree(directory)


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up_at = time.monotonic() + START_S_MAX
    while True:
        try:
            server.connect().close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"PostgreSQL does not answer:\n{log.read_text()}") from error
            time.sleep(0.05)
