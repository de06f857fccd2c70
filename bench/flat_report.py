"""The tables and verdicts of the benchmark `flat`."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

FLAT_MAX = 1.3    # the dearest history over the cheapest
TRAVEL_MAX = 10   # times the cost of opening the same table


@dataclass
class Figures:
    """What one table needed, repeat by repeat."""

    append_seconds: list[float] = field(default_factory=list)
    append_bytes: int = 0
    open_seconds: list[float] = field(default_factory=list)
    read_seconds: list[float] = field(default_factory=list)
    travel_seconds: list[float] = field(default_factory=list)
    read_at_seconds: list[float] = field(default_factory=list)
    list_seconds: float = 0
    peak_bytes: int = 0

    def append_ms(self) -> float:
        return statistics.median(self.append_seconds) * 1e3

    def append_fast_ms(self) -> float:
        """What nine tenths take longer than: hardly touched by others who keep the machine busy."""
        return fastest_tenth(self.append_seconds) * 1e3

    def commit_kb(self) -> float:
        return self.append_bytes / len(self.append_seconds) / 1e3

    def open_ms(self) -> float:
        return statistics.median(self.open_seconds) * 1e3

    def read_ms(self) -> float:
        return statistics.median(self.read_seconds) * 1e3

    def read_fast_ms(self) -> float:
        return fastest_tenth(self.read_seconds) * 1e3

    def travel_ms(self) -> float:
        return statistics.median(self.travel_seconds) * 1e3

    def read_at_ms(self) -> float | None:
        """None where the history has no old snapshots."""
        return statistics.median(self.read_at_seconds) * 1e3 if self.read_at_seconds else None

    def list_ms(self) -> float:
        return self.list_seconds * 1e3

    def peak_mb(self) -> float:
        return self.peak_bytes / 1e6


def fastest_tenth(values: list[float]) -> float:
    return sorted(values)[len(values) // 10]


# Name, figure, must it be flat? None: the histories cannot be compared by it.
LINES = [
    ("append one row, median ms", Figures.append_ms, True),
    ("append one row, fastest tenth, ms", Figures.append_fast_ms, False),
    ("written per commit, KB", Figures.commit_kb, True),
    ("open, median ms", Figures.open_ms, True),
    ("read the current 100 rows, median ms", Figures.read_ms, True),
    ("read the current 100 rows, fastest tenth, ms", Figures.read_fast_ms, False),
    ("peak memory of a writer, MB", Figures.peak_mb, True),
    ("time_travel to a moment, median ms", Figures.travel_ms, None),
    ("read the row of an old snapshot by its id, median ms", Figures.read_at_ms, None),
    ("list the newest 1,000 snapshots (or all 100), ms", Figures.list_ms, None),
]
LIVE_LINES = [line for line in LINES if line[1] in (Figures.append_ms, Figures.append_fast_ms, Figures.commit_kb)]


def spread(values: list[float]) -> float:
    return max(values) / min(values)


def table(figures: dict[int, Figures], lines: list) -> list[str]:
    out = ["| snapshots | " + " | ".join(f"{length:,}" for length in figures) + " | dearest / cheapest |",
           "|---|" + "--:|" * (len(figures) + 1)]
    for name, value, flat in lines:
        values = [value(one) for one in figures.values()]
        cells = ["–" if v is None else f"{v:,.2f}" for v in values] + ["–" if flat is None else f"{spread(values):.2f}x"]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return [*out, ""]


def verdicts(figures: dict[int, Figures]) -> list[str]:
    out = []
    for name, value, flat in LINES:
        if flat:
            ratio = spread([value(one) for one in figures.values()])
            out.append(f"- {name}: {ratio:.2f}x (target: at most {FLAT_MAX:g}x) {_word(ratio <= FLAT_MAX)}")
    longest, most = max(figures.items())
    ratio = most.travel_ms() / most.open_ms()
    out.append(f"- time_travel among {longest:,} snapshots: {ratio:.2f}x the cost of opening (target: below {TRAVEL_MAX}x) "
               f"{_word(ratio < TRAVEL_MAX)}")
    return out


def report(figures: dict[int, Figures], live: dict[int, Figures]) -> str:
    """figures: number of snapshots → what a table needed; live: the same where every commit's file is live."""
    out = [*table(figures, LINES), "Against the targets:", "", *verdicts(figures), "",
           "Every commit's file live, nothing overwritten or merged:", "", *table(live, LIVE_LINES)]
    return "\n".join(out).rstrip()


def _word(reached: bool) -> str:
    return "reached" if reached else "MISSED"
