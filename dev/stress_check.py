"""Checks the table of dev/stress.py row by row after the writers are done, and puts the result into words."""

from __future__ import annotations

import collections
import random
from pathlib import Path

import datashard


def read_errors(path: str) -> dict[int, str]:
    """Row id → message of each append that raised."""
    if not Path(path).exists():
        return {}
    lines = Path(path).read_text().splitlines()
    return {int(row): message for row, _, message in (line.partition("\t") for line in lines)}


def outcome_of(message: str) -> str:
    """What an append that raised told about its rows: unknown (they may be there), refused (they are not), or error."""
    name = message.partition(":")[0]
    kind = getattr(datashard, name, None) or {"commit unknown": datashard.CommitUnknown, "unavailable": datashard.Unavailable,
                                              "conflict": datashard.Conflict}.get(name)
    if not isinstance(kind, type):
        return "error"
    return "unknown" if issubclass(kind, datashard.CommitUnknown) else (
        "refused" if issubclass(kind, (datashard.Unavailable, datashard.Conflict)) else "error")


def verdict(table: datashard.Table, acknowledged: set[int], skipped: set[int], raised: dict[int, str], died: list[str],
            snapshots: int, choice: random.Random, faults: bool = False) -> dict:
    """Compares the table with what its writers were told.

    acknowledged: rows whose append returned: there exactly once. skipped: rows whose append a kill cut off, and the keys of
    raised: rows whose append raised; both may be there, once. Anything else is wrong, and so is an append that raised, unless
    there were faults: then it may, and a row that was refused is not there.
    """
    outcomes = {row: outcome_of(message) if faults else "error" for row, message in raised.items()}
    unknown = {row for row, outcome in outcomes.items() if outcome == "unknown"}
    refused = {row for row, outcome in outcomes.items() if outcome == "refused"}
    found = collections.Counter(row["id"] for row in table.scan(columns=["id"]))
    lost = acknowledged - found.keys()
    strays = found.keys() - acknowledged - skipped - (raised.keys() - refused)
    repeated = sum(found.values()) - len(found)
    read, unreadable = read_snapshots(table, found, snapshots, choice)
    errors = [f"row {row}: {message}" for row, message in sorted(raised.items()) if outcomes[row] == "error"] + died
    return {
        "expected": len(acknowledged), "found": len(found), "lost": len(lost), "repeated": repeated, "strays": len(strays),
        "cut_off": len(skipped), "cut_off_there": len(skipped & found.keys()),
        "unknown": len(unknown), "unknown_there": len(unknown & found.keys()), "refused": len(refused),
        "refused_there": len(refused & found.keys()), "raised_examples": [raised[row] for row in sorted(unknown | refused)][:3], "errors": len(errors),
        "error_examples": errors[:3], "snapshots_read": read, "snapshots_unreadable": unreadable,
        "ok": not (lost or strays or repeated or errors or unreadable),
    }


def read_snapshots(table: datashard.Table, found: collections.Counter, count: int, choice: random.Random) -> tuple[int, list[str]]:
    """Reads `count` random snapshots by id and `count` by time; how many were read, and what was wrong with others.

    Appends only add: a snapshot has as many rows as it says, all of them in the newest one, and all of its predecessors.
    """
    everything = list(table.snapshots())  # oldest first
    picked = sorted(choice.sample(range(len(everything)), min(count, len(everything))))
    earlier: set[int] = set()
    read, wrong = 0, []
    for snapshot in (everything[index] for index in picked):
        ways = {
            "id": lambda: snapshot["snapshot_id"],
            # The newest one of that millisecond, which may be a later one.
            "time": lambda: table.time_travel(timestamp=snapshot["timestamp_ms"]).snapshot_id,
        }
        of_this = earlier
        for way, snapshot_id_by in ways.items():
            try:
                snapshot_id = snapshot_id_by()
                rows = [row["id"] for row in table.scan(columns=["id"], snapshot_id=snapshot_id)]
                problem = _problem(rows, table.row_count(snapshot_id), of_this, found)
            except Exception as error:  # whatever it is: this snapshot cannot be read
                problem = f"{type(error).__name__}: {error}"
            if problem:
                wrong.append(f"snapshot {snapshot['snapshot_id']} by {way}: {problem}")
                continue
            read += 1
            if way == "id":
                of_this = set(rows)
        earlier = of_this
    return read, wrong


def _problem(rows: list[int], promised: int, earlier: set[int], found: collections.Counter) -> str:
    ids = set(rows)
    if len(rows) != promised:
        return f"{len(rows)} rows read, but its metadata says {promised}"
    if len(ids) != len(rows):
        return f"{len(rows) - len(ids)} rows twice"
    if not ids <= found.keys():
        return f"{len(ids - found.keys())} rows are not in the newest one"
    return "" if earlier <= ids else f"{len(earlier - ids)} rows of an older one are missing"


def fairness(appends: list[int], longest_us: list[int]) -> dict:
    """How evenly writers got on: appends of the slowest, of some between, of the fastest; the longest append of any."""
    counts = sorted(appends)
    at = {"slowest": 0, "tenth": 0.1, "median": 0.5, "nine_tenths": 0.9, "fastest": 1}
    return {"writers": len(counts), "longest_append_seconds": round(max(longest_us) / 1e6, 2)} | {
        name: counts[round(share * (len(counts) - 1))] for name, share in at.items()}


def fairness_line(kind: str, of: dict) -> str:
    ratio = f"{of['fastest'] / of['slowest']:.2f}x" if of["slowest"] else "∞"
    return (f"   fairness:    {of['writers']} {kind} writers made {of['slowest']:,} to {of['fastest']:,} appends ({ratio}; a tenth at most "
            f"{of['tenth']:,}, half {of['median']:,}, nine tenths {of['nine_tenths']:,}), the longest took "
            f"{of['longest_append_seconds']:.2f} s")


def plain_line(result: dict) -> str:
    share = 100 * result["lost"] / result["expected"]
    return (f"   plain file:  {result['found']:,} of {result['expected']:,} rows found, {result['lost']:,} lost ({share:.0f} %) "
            f"in {result['seconds']:.1f} s")


def table_lines(result: dict) -> str:
    lines = [
        f"   table:       {result['found']:,} rows found, {result['expected']:,} acknowledged, {result['lost']:,} lost, "
        f"{result['repeated']:,} repeated, {result['errors']:,} errors",
        f"   speed:       {result['appends_per_second']:,.0f} durable appends a second, {result['seconds']:,.1f} s",
    ]
    if result["killed"] or result["stopped"]:
        lines.append(f"   writers:     {result['killed']} killed, {result['stopped']} stopped for a while; of {result['cut_off']} appends "
                     f"cut off by a kill, {result['cut_off_there']} are there")
    if "faults" in result:
        kinds = ", ".join(f"{count:,} {fault}" for fault, count in sorted(result["faults"].items()))
        lines.append(f"   faults:      {sum(result['faults'].values()):,} in {result['requests']:,} requests: {kinds}")
        lines.append(f"   told so:     {result['unknown']:,} outcomes unknown, of which {result['unknown_there']:,} are there; "
                     f"{result['refused']:,} refused, of which {result['refused_there']:,} are there")
    lines += [fairness_line(kind, of) for kind, of in result.get("fairness", {}).items()]
    if result["memory_bytes"]:
        lines.append(f"   memory:      {result['memory_bytes'] / 2**30:.2f} GiB for all writers (shared pages counted once)")
    lines.append(f"   snapshots:   {result['snapshots_read']} random ones read, by id and by time")
    lines += [f"   wrong:       {text}" for text in result["snapshots_unreadable"] + result["error_examples"]]
    if result["strays"]:
        lines.append(f"   wrong:       {result['strays']} rows that nobody appended or that were refused")
    lines.append("   verdict:     " + ("every acknowledged row is there exactly once" if result["ok"] else
                                       f"WRONG, see above (--seed {result['seed']})"))
    return "\n".join(lines)
