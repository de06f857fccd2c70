"""The bucket of `dev/stress.py --s3`: a real server on loopback, and before it one proxy for each host that is to be simulated.

Processes that reach the bucket by different endpoints share no ring, as if they ran on different hosts: they meet in the bucket only.
The faults are those of tests/support/s3_faults.py, at random, over all requests but those that check the result.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import s3_server

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import s3_proxy  # noqa: E402

TABLE = "stress"
VERSION = r"/v[0-9]+\.metadata\.json$"
READS, WRITES, ALL = "GET|HEAD", "PUT|POST|DELETE", "GET|HEAD|PUT|POST|DELETE"
TIMED_OUT_SHARE = 0.002  # of the other faults: each costs its writer the whole time-out of an attempt

# What happens to requests: a fault, of which requests, with what settings. All of them are equally likely.
FAULTS = [
    ("lose_answer", {"method": WRITES}),
    ("lose_answer", {"method": "PUT", "path": VERSION}),  # our own retried write is then answered 412
    ("error_before", {"method": ALL, "status": 500}),
    ("error_before", {"method": ALL, "status": 503, "code": "SlowDown"}),
    ("error_after", {"method": WRITES, "status": 500}),
    ("error_after", {"method": "PUT", "path": VERSION, "status": 500}),
    ("late", {"method": "PUT", "client": "close", "seconds": 0.2}),
    ("late", {"method": "PUT", "path": VERSION, "client": "close", "seconds": 0.05}),
    ("late", {"method": "PUT", "path": VERSION, "client": "close", "seconds": 2}),
    ("reset_before", {"method": ALL}),
    ("reset", {"method": READS, "after_bytes": 100}),
    ("cut", {"method": READS, "after_bytes": 100}),
    ("slow_body", {"method": READS, "bytes_per_second": 100_000}),
    ("slow_upload", {"method": "PUT", "bytes_per_second": 50_000}),
    ("delay", {"method": ALL, "seconds": 0.1}),
]


def rules(share: float) -> list[dict]:
    """Rules by which about `share` of all requests meet a fault."""
    each = share / len(FAULTS)
    timed_out = {"method": "PUT", "path": VERSION, "fault": "late", "client": "wait", "seconds": 1, "probability": share * TIMED_OUT_SHARE}
    return [timed_out, *({"fault": fault, "probability": each, **settings} for fault, settings in FAULTS)]


@dataclass
class Bucket:
    """Where a table of the stress lies, and how each host gets there."""
    endpoints: list[str]
    proxies: list[s3_proxy.Running] = field(default_factory=list)

    def faults(self) -> dict[str, int]:
        """How often each fault has happened."""
        fired: Counter[str] = Counter()
        for proxy in self.proxies:
            summary = proxy.summary()
            for fault, count in zip(summary["faults"], summary["fired"], strict=True):
                fired[fault] += count
        return dict(fired)

    def requests(self) -> int:
        return sum(sum(proxy.summary()["counts"].values()) for proxy in self.proxies)


@contextlib.contextmanager
def bucket(hosts: int, faults: float, seed: int, server: str = "versitygw") -> Iterator[Bucket]:
    """A server for the length of a block. This process reaches it directly, by the environment; `endpoints` are for the writers."""
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(s3_server.running(s3_server.Options(server=server, keep_alive=True)))
        proxies = [stack.enter_context(s3_proxy.before(running.port, rules=rules(faults), seed=seed * 1000 + host, requests_kept=0))
                   for host in range(hosts)]
        os.environ.update(running.variables)
        yield Bucket([proxy.endpoint for proxy in proxies], proxies)
