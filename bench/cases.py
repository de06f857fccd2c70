"""What is measured: the data, the cases and the targets of each benchmark."""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA_FIELDS = [
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "user", "type": "string", "required": True},
    {"id": 3, "name": "status", "type": "string", "required": True},
    {"id": 4, "name": "amount", "type": "double", "required": False},
    {"id": 5, "name": "started_at", "type": "long", "required": True},
]
STATUSES = ("queued", "running", "success", "failed", "retrying")


def make_records(count: int, start: int = 0) -> list[dict]:
    """`count` task-log records with ids start, start + 1, …"""
    return [
        {
            "id": i,
            "user": f"user-{i * 7919 % 1_000_003}",
            "status": STATUSES[i % 5],
            "amount": None if i % 11 == 0 else i * 0.25,
            "started_at": 1_700_000_000_000 + i * 13,
        }
        for i in range(start, start + count)
    ]


def id_sum(count: int, start: int = 0) -> int:
    """The sum of the ids of `make_records`: every answer is checked against it."""
    return sum(range(start, start + count))


@dataclass(frozen=True)
class Target:
    """`system` must need at least `times` times what we need, or (`at_most`) we at most `times` what it needs."""

    system: str
    times: float
    at_most: bool = False


@dataclass(frozen=True)
class Case:
    name: str
    action: str  # a method of the adapters
    rows: int
    repeats: int
    targets: tuple[Target, ...] = ()


APPEND = [
    Case("create a table", "create", 0, 15, (Target("datashard 0.11.2", 6),)),
    Case("append 1 dict", "append_dicts", 1, 25, (Target("datashard 0.11.2", 6),)),
    Case("append 100 dicts", "append_dicts", 100, 25, (Target("datashard 0.11.2", 6),)),
    Case("append 1,000 dicts", "append_dicts", 1_000, 20, (Target("datashard 0.11.2", 6),)),
    Case("append 10,000 dicts", "append_dicts", 10_000, 15,
         (Target("datashard 0.11.2", 3), Target("pyarrow write + fsync", 2, at_most=True))),
    Case("append 10,000 Arrow rows", "append_arrow", 10_000, 15,
         (Target("datashard 0.11.2", 3), Target("pyarrow write + fsync", 2, at_most=True))),
]

READ = [
    Case("50,000 rows to Arrow", "read_arrow", 50_000, 25, (Target("pyarrow same file", 1.3, at_most=True),)),
    Case("50,000 rows to pandas", "read_pandas", 50_000, 25, (Target("pyarrow same file", 1.3, at_most=True),)),
    Case("50,000 rows to dicts", "read_dicts", 50_000, 9, (Target("pyarrow same file", 5),)),
]

# In a bucket. Rounds are few: a round trip is long, and little else varies.
S3 = [
    Case("append 1 dict", "append_dicts", 1, 6),
    Case("append 1,000 dicts", "append_dicts", 1_000, 6),
    Case("append 10,000 dicts", "append_dicts", 10_000, 6),
    Case("read 50,000 rows", "read_newest", 50_000, 6),
    Case("open and read 50,000 rows", "open_and_read", 50_000, 6),
]

BENCHES = {"append": APPEND, "read": READ}
