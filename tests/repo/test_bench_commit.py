"""The benchmark `commit` says what its figures say: rates, verdicts, and what it does with lost, repeated and raised rows."""

from __future__ import annotations

import argparse
import array
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import commit  # noqa: E402
import commit_report as report  # noqa: E402


def run(*counts: int, seconds: float = 1, median_ms: float = 1.0, slow_ms: float = 1.0) -> commit.Run:
    latencies = [median_ms / 1e3] * 97 + [slow_ms / 1e3] * 3
    return commit.Run(seconds=seconds, counts=list(counts), latencies=array.array("d", latencies))


def test_a_target_is_reached_or_missed_by_the_ratio_of_rates():
    rows = {name: [run(*[count] * 12, seconds=2)] for name, count in ((report.OURS, 100), (report.SQLITE, 50), (report.LOG, 400))}
    text = report.report({12: rows})
    assert "2.00x the rate of SQLite (target: at least 2x) reached" in text
    assert "0.25x the rate of shared log (target: at least 0.3x) MISSED" in text
    assert "| datashard (this) | 600.0 | 1.00x |" in text


def test_a_writer_that_gets_no_turn_is_the_worst_of_all_runs():
    assert report.unfairness([run(5, 5), run(4, 2)]) == 2
    text = report.report({12: {report.OURS: [run(*[9] * 11, 0)]}})
    assert "∞x the commits of the slowest (target: at most 2x) MISSED" in text


def test_the_tail_is_measured_against_the_median_or_the_shared_log():
    ours = [run(*[9] * 12, slow_ms=12)]
    assert "is 12.0x the median (target: below 10x) MISSED" in report.report({12: {report.OURS: ours}})
    log = [run(*[9] * 12, slow_ms=9)]
    assert "is 12.0x the median (target: below 10x, or at most 1.5x the 9.0x of the shared log) reached" in report.report(
        {12: {report.OURS: ours, report.LOG: log}})


FAKE = '''
import array, json, os, sys
action, place = sys.argv[2:4]
home = os.path.join(place, "..")
if action == "found":
    with open(os.path.join(home, "found"), "wb") as out:
        array.array("q", {found}).tofile(out)
elif action == "write":
    print("ready", flush=True)
    os.read(0, 1)
    with open(os.path.join(home, "latencies-" + sys.argv[4]), "wb") as out:
        array.array("d", [0.001] * 3).tofile(out)
    print(json.dumps(dict(attempts=5, in_time=3, warm_up_raised=0, raised=[[1, "late"]])), flush=True)
    {ending}
'''


def bench_of(tmp_path: Path, monkeypatch, found: list[int], ending: str = "") -> commit.Run:
    """A run of one writer that used ids 0 to 4, of which 1 raised; `found` is what the table then holds."""
    script = tmp_path / "fake.py"
    script.write_text(FAKE.format(found=found, ending=ending))
    scratch = tmp_path / f"bench-{len(list(tmp_path.iterdir()))}"
    bench = commit.Bench(argparse.Namespace(seconds=0.1), scratch)
    monkeypatch.setattr(bench, "_python", lambda system: [sys.executable, str(script), system.module])
    return bench.run(commit.System("fake", "fake"), 1)


def test_every_id_is_compared_with_what_was_acknowledged(tmp_path, monkeypatch):
    right = bench_of(tmp_path, monkeypatch, [0, 2, 3, 4])
    assert (right.lost, right.repeated, right.raised, right.raised_there, right.counts) == (0, 0, 1, 0, [3])
    wrong = bench_of(tmp_path, monkeypatch, [0, 1, 3, 3])
    assert (wrong.lost, wrong.repeated, wrong.raised_there) == (2, 1, 1)


def test_a_writer_that_dies_after_its_report_is_counted_and_noted(tmp_path, monkeypatch):
    died = bench_of(tmp_path, monkeypatch, [0, 2, 3, 4], ending="os.abort()")
    assert (died.counts, died.raised, died.lost) == ([3], 2, 0)
    assert "a writer ended with status -6 after its report" in died.messages


def test_what_is_named_in_the_targets_is_measured():
    names = {system.name for system in commit.SYSTEMS}
    assert {system for _, system, _ in report.RATES} | {report.OURS, report.LOG} <= names


def test_a_message_shows_no_path_of_a_machine():
    text = "OSError: conflict after 20/20 tries, " + "/ho" + "me/runner/work/x.rs:1 of `t`"
    assert report._one_line(text) == "OSError: conflict after 20/20 tries, …:1 of 't'"
