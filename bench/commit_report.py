"""The tables and verdicts of the benchmark `commit`."""

from __future__ import annotations

import collections
import re
import statistics

OURS = "datashard (this)"
OURS_CPP = "datashard (this), C++"
SQLITE = "SQLite"
LOG = "shared log"
RELEASED = "datashard 0.11.2"
BARE = "four bare files, C++"

# Ours must reach at least `times` times the rate of `system`, with `writers` writers.
RATES = [(12, SQLITE, 2), (12, LOG, 0.3), (12, RELEASED, 200), (1, BARE, 0.7)]
FAIRNESS_WRITERS = 12
FASTEST_TO_SLOWEST_MAX = 2
P99_TO_MEDIAN_MAX = 10
P99_TO_LOG_MAX = 1.5


def rate(runs: list) -> float:
    return statistics.mean(run.rate() for run in runs)


def unfairness(runs: list) -> float:
    """The fastest writer's count over the slowest one's, in the worst run."""
    return max(max(run.counts) / min(run.counts) if min(run.counts) else float("inf") for run in runs)


def percentiles(runs: list) -> tuple[float, float]:
    """Median and 99th percentile of the latencies of all runs, in seconds; infinite where nothing was acknowledged."""
    values = sorted(value for run in runs for value in run.latencies)
    if not values:
        return float("inf"), float("inf")
    return values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.99))]


def table(writers: int, rows: dict[str, list]) -> list[str]:
    own = rate(rows[OURS]) if OURS in rows else None
    out = [f"**{writers} writer{'s' if writers > 1 else ''}**", "",
           "| system | commits/s | ours is | fastest / slowest writer | median ms | p99 ms | p99 / median | raised | lost | repeated |",
           "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for name, runs in rows.items():
        commits = rate(runs)
        median, high = percentiles(runs)
        times = f"{own / commits:.2f}x" if own is not None and commits else "–"
        raised = sum(run.raised for run in runs)
        there = sum(run.raised_there for run in runs)
        out.append(f"| {name} | {commits:,.1f} | {times} | {_number(unfairness(runs))} | {median * 1e3:.2f} | {high * 1e3:.2f} "
                   f"| {high / median:.1f} | {raised:,}{f' ({there:,} there)' if there else ''} "
                   f"| {sum(run.lost for run in runs):,} | {sum(run.repeated for run in runs):,} |")
    return [*out, ""]


def verdicts(results: dict[int, dict[str, list]]) -> list[str]:
    out = []

    def verdict(writers: int, text: str, target: str, reached: bool) -> None:
        out.append(f"- {writers} writer{'s' if writers > 1 else ''}: {text} (target: {target}) {'reached' if reached else 'MISSED'}")

    for writers, system, times in RATES:
        rows = results.get(writers, {})
        if OURS not in rows or system not in rows or not rate(rows[system]):
            continue
        ratio = rate(rows[OURS]) / rate(rows[system])
        verdict(writers, f"{ratio:.2f}x the rate of {system}", f"at least {times:g}x", ratio >= times)
    rows = results.get(FAIRNESS_WRITERS, {})
    if OURS in rows:
        spread = unfairness(rows[OURS])
        verdict(FAIRNESS_WRITERS, f"the fastest writer made {_number(spread)}x the commits of the slowest",
                f"at most {FASTEST_TO_SLOWEST_MAX}x", spread <= FASTEST_TO_SLOWEST_MAX)
        median, high = percentiles(rows[OURS])
        tail = high / median
        target, reached = f"below {P99_TO_MEDIAN_MAX}x", tail < P99_TO_MEDIAN_MAX
        if LOG in rows:
            log_median, log_high = percentiles(rows[LOG])
            log_tail = log_high / log_median
            target += f", or at most {P99_TO_LOG_MAX}x the {log_tail:.1f}x of the {LOG}"
            reached = reached or tail <= P99_TO_LOG_MAX * log_tail
        verdict(FAIRNESS_WRITERS, f"the 99th percentile is {tail:.1f}x the median", target, reached)
    return out


def report(results: dict[int, dict[str, list]]) -> str:
    """results: number of writers → system → its runs."""
    out = []
    for writers, rows in results.items():
        out += table(writers, rows)
    lines = verdicts(results)
    if lines:
        out += ["The Python figures against the targets:", "", *lines, ""]
    runs: dict[str, list] = collections.defaultdict(list)
    for rows in results.values():
        for name, more in rows.items():
            runs[name] += more
    out += raised_lines(runs)
    return "\n".join(out).rstrip()


def raised_lines(runs: dict[str, list]) -> list[str]:
    """runs: of each system."""
    out = []
    for name, some in runs.items():
        counter = sum((run.messages for run in some), collections.Counter())
        out += [f"- {name}, {count:,} times: `{_one_line(text)}`" for text, count in counter.most_common(2)]
    return ["What was raised, most frequent first:", "", *out] if out else []


def _one_line(text: str) -> str:
    """`text` on one line, without the paths of the machine it was raised or built on."""
    return re.sub(r"(?<![\w.])/[\w./-]+", "…", " ".join(text.replace("`", "'").split()))


def _number(value: float) -> str:
    return "∞" if value == float("inf") else f"{value:.2f}"
