"""One writer of the stress tests: appends rows of its own until it is killed, and notes each acknowledged one on disk.

    python writer.py TABLE ACKNOWLEDGED WRITER COUNT

A row's id is WRITER * 1,000,000 + number. The note is written only after append_records returned, in one write call, so
what it holds was acknowledged; the row after the last note may or may not be in the table.
"""

from __future__ import annotations

import os
import sys

import datashard

if __name__ == "__main__":
    path, notes, writer, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    table = datashard.load_table(path)
    out = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(count):
        row = writer * 1_000_000 + number
        assert table.append_records([{"id": row, "writer": writer}])
        os.write(out, f"{row}\n".encode())
