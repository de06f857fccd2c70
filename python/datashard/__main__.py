"""`python -m datashard`: says what is installed; the commands are those of the `datashard` program."""

from __future__ import annotations

from . import __version__

if __name__ == "__main__":
    print(f"datashard {__version__}: ACID tables in Apache Iceberg's format on a plain directory.")
    print("The command line is the program `datashard`, installed beside this Python: try `datashard --help`.")
