"""One server at several distances: starts bench/native/delay_proxy.h before it, and measures what it really adds."""

from __future__ import annotations

import contextlib
import http.client
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def before(program: Path, upstream_port: int, round_trips_ms: list[float]) -> Iterator[dict[float, int]]:
    """Round trip → port of loopback, for the length of a block."""
    process = subprocess.Popen([str(program), str(upstream_port), *map(str, round_trips_ms)], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    try:
        yield {round_trip: int(process.stdout.readline()) for round_trip in round_trips_ms}
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


def exchange_ms(port: int, path: str, repeats: int = 30) -> float:
    """Median of a small request and its answer, on a connection that is there already."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    seconds = []
    try:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            seconds.append(time.perf_counter() - start)
    finally:
        connection.close()
    return statistics.median(seconds[1:]) * 1e3
