"""SQLite: WAL, synchronous=FULL, one row per transaction. No index, so that a repeated row would show."""

from __future__ import annotations

import os
import sqlite3

from cases import make_records


def connect(directory: str) -> sqlite3.Connection:
    connection = sqlite3.connect(os.path.join(directory, "rows.db"), timeout=30, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def create(directory: str) -> None:
    connection = connect(directory)
    connection.execute("CREATE TABLE rows (id INTEGER, user TEXT, status TEXT, amount REAL, started_at INTEGER)")
    connection.close()


class Writer:
    def __init__(self, directory: str):
        self.connection = connect(directory)

    def append(self, row_id: int) -> None:
        self.connection.execute("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", tuple(make_records(1, row_id)[0].values()))

    def recover(self) -> None:
        """Nothing to do: the statement was rolled back."""


def found(directory: str) -> list[int]:
    return [row[0] for row in connect(directory).execute("SELECT id FROM rows")]
