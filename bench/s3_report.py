"""The tables and verdicts of the benchmark `s3`."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from commit_report import OURS, RELEASED, percentiles, raised_lines
from many_writers import Run

DELTA = "deltalake"
ICEBERG = "PyIceberg"
HOSTS = "datashard (this), a host each"
HOSTS_ALONE = "datashard (this), a host each, each for itself"
IN_MEMORY = (OURS, None)  # without a bucket: what encoding and decoding take

# Case → system and round trip in ms (or none) → seconds of each round.
Latencies = dict[str, dict[tuple[str, float | None], list[float]]]
# Round trip in ms → system → number of writers → what came of it.
Rates = dict[float, dict[str, dict[int, Run]]]

ROUND_TRIPS_MAX = {"append": 2.3, "read": 4}  # of a case by its first word; where none is named, there is no target
RATE_WRITERS, RATE_TIMES = 12, 5              # so many writers reach so many times the rate of the released package
FAIR_SHARE = 1 / 3                            # of the slowest, of what the one in the middle has


def report(times: Latencies, found: Rates, fair: dict[str, Run], fair_round_trip: float) -> str:
    parts = [latency_table(times), verdicts(times, found), *(rate_table(*one) for one in found.items()),
             gain(found), fairness(fair, fair_round_trip), accounts(found, fair)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def latency_table(times: Latencies) -> list[str]:
    if not times:
        return []
    names = sorted({name for row in times.values() for name, _ in row}, key=_place)
    out = ["**One writer**, milliseconds, minimum / median", "",
           "| case | round trip | " + " | ".join(names) + " | ours in memory | round trips of ours |", "|---|--:|" + "--:|" * (len(names) + 2)]
    for case, row in times.items():
        for round_trip in distances(row):
            cells = [_times(row.get((name, round_trip))) for name in names]
            trips = f"{round_trips(row, round_trip):.2f}" if round_trip and (OURS, round_trip) in row else "–"
            out.append(f"| {case} | {round_trip:g} ms | " + " | ".join(cells) + f" | {_times(row[IN_MEMORY])} | {trips} |")
    return out


def distances(row: dict) -> list[float]:
    return sorted({round_trip for _, round_trip in row if round_trip is not None})


def round_trips(row: dict, round_trip: float) -> float:
    """What ours takes longer than without a bucket, in round trips; medians."""
    longer = statistics.median(row[OURS, round_trip]) - statistics.median(row[IN_MEMORY])
    return longer * 1e3 / round_trip


def verdicts(times: Latencies, found: Rates) -> list[str]:
    out = []
    for case, row in times.items():
        furthest = max(distances(row), default=0)
        most = ROUND_TRIPS_MAX.get(case.split()[0])
        if most and furthest and (OURS, furthest) in row:
            trips = round_trips(row, furthest)
            out.append(f"- {case} at {furthest:g} ms: {trips:.2f} round trips and the time in memory (target: at most {most:g}) {_word(trips <= most)}")
    for round_trip, rows in found.items():
        own, other = (rows.get(name, {}).get(RATE_WRITERS) for name in (OURS, RELEASED))
        if own and other and sum(other.counts):
            times_ = own.rate() / other.rate()
            out.append(f"- {RATE_WRITERS} writers at {round_trip:g} ms: {times_:.1f}x the rate of {RELEASED} "
                       f"(target: at least {RATE_TIMES}x) {_word(times_ >= RATE_TIMES)}")
    return ["Against the targets:", "", *out] if out else []


def rate_table(round_trip: float, rows: dict[str, dict[int, Run]]) -> list[str]:
    numbers = sorted({writers for runs in rows.values() for writers in runs})
    out = [f"**Many writers, {round_trip:g} ms**: commits per second / median ms of a commit / 99th percentile", "",
           "| system | " + " | ".join(f"{number} writer{'s' if number > 1 else ''}" for number in numbers) + " |",
           "|---|" + "--:|" * len(numbers)]
    for name in sorted(rows, key=_place):
        out.append(f"| {name} | " + " | ".join(_rate(rows[name].get(number)) for number in numbers) + " |")
    return out


def gain(found: Rates) -> list[str]:
    """What commits shared by hosts bring."""
    out = []
    for round_trip, rows in found.items():
        shared, alone = rows.get(HOSTS, {}), rows.get(HOSTS_ALONE, {})
        for writers in sorted(shared.keys() & alone.keys()):
            if sum(alone[writers].counts):
                times = shared[writers].rate() / alone[writers].rate()
                out.append(f"- {writers} hosts at {round_trip:g} ms: {times:.2f}x the rate of hosts that commit each for itself")
    return ["What group commit across hosts brings:", "", *out] if out else []


def fairness(fair: dict[str, Run], round_trip: float) -> list[str]:
    if not fair:
        return []
    hosts = max(len(run.counts) for run in fair.values())
    out = [f"**{hosts} hosts, {round_trip:g} ms**: commits of each", "", "| system | slowest | median | fastest |", "|---|--:|--:|--:|"]
    lines = []
    for name, run in fair.items():
        middle = statistics.median(run.counts)
        out.append(f"| {name} | {min(run.counts)} | {middle:g} | {max(run.counts)} |")
        share = min(run.counts) / middle if middle else 0
        lines.append(f"- {name}: the slowest has {share:.2f} of the median (target: at least a third) {_word(share >= FAIR_SHARE)}")
    return [*out, "", *lines]


def accounts(found: Rates, fair: dict[str, Run]) -> list[str]:
    """What all runs of many writers did to their rows."""
    runs: dict[str, list[Run]] = {}
    for name, run in all_runs(found, fair):
        runs.setdefault(name, []).append(run)
    if not runs:
        return []
    out = ["**All runs of many writers**", "", "| system | acknowledged | raised | of these there | lost | repeated |", "|---|--:|--:|--:|--:|--:|"]
    for name in sorted(runs, key=_place):
        sums = [sum(values) for values in zip(*((len(run.latencies), run.raised, run.raised_there, run.lost, run.repeated)
                                               for run in runs[name]), strict=True)]
        out.append(f"| {name} | " + " | ".join(f"{value:,}" for value in sums) + " |")
    raised = raised_lines(runs)
    return [*out, "", *raised] if raised else out


def all_runs(found: Rates, fair: dict[str, Run]) -> Iterator[tuple[str, Run]]:
    for rows in found.values():
        for name, runs in rows.items():
            yield from ((name, run) for run in runs.values())
    yield from fair.items()


def _times(seconds: list[float] | None) -> str:
    return f"{min(seconds) * 1e3:.1f} / {statistics.median(seconds) * 1e3:.1f}" if seconds else "–"


def _rate(run: Run | None) -> str:
    if run is None:
        return "–"
    median, high = percentiles([run])
    return f"{run.rate():,.1f}" + ("" if median == float("inf") else f" / {median * 1e3:,.0f} / {high * 1e3:,.0f}")


def _place(name: str) -> int:
    return [OURS, HOSTS, HOSTS_ALONE, RELEASED, DELTA, ICEBERG].index(name)


def _word(reached: bool) -> str:
    return "reached" if reached else "MISSED"
