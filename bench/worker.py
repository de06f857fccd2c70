"""One system's process: reads one JSON request per line, answers one per line, until its input ends."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import warnings


def main() -> None:
    module, directory = sys.argv[1], sys.argv[2]
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers = sys.stdout
    sys.stdout = sys.stderr  # what a library prints must not mix with the answers
    adapter = importlib.import_module(f"systems.{module}").Adapter(directory)
    for line in sys.stdin:
        request = json.loads(line)
        value = getattr(adapter, request["call"])(*request["arguments"])
        answers.write(json.dumps({"value": value}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
