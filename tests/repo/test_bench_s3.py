"""The benchmark `s3` says what its figures say: round trips, rates, shares, and who is compared where."""

from __future__ import annotations

import array
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import many_writers  # noqa: E402
import s3 as bench  # noqa: E402
import s3_report as report  # noqa: E402

OURS, RELEASED = report.OURS, report.RELEASED


def run(*counts: int, latency_ms: float = 100) -> many_writers.Run:
    return many_writers.Run(seconds=2, counts=list(counts), latencies=array.array("d", [latency_ms / 1e3] * sum(counts)))


def row(far_ms: float, memory_ms: float = 2) -> dict:
    return {report.IN_MEMORY: [memory_ms / 1e3] * 3, (OURS, 0.0): [0.005] * 3, (OURS, 50.0): [0.1, far_ms / 1e3, 9.0]}


def text_of(times=None, found=None, fair=None) -> str:
    return report.report(times or {}, found or {}, fair or {}, 10)


def test_round_trips_are_what_a_bucket_takes_longer_than_memory():
    text = text_of({"append 1 dict": row(117), "read 50,000 rows": row(203)})
    assert "- append 1 dict at 50 ms: 2.30 round trips and the time in memory (target: at most 2.3) reached" in text
    assert "- read 50,000 rows at 50 ms: 4.02 round trips and the time in memory (target: at most 4) MISSED" in text
    assert "| append 1 dict | 0 ms | 5.0 / 5.0 | 2.0 / 2.0 | – |" in text
    assert "| append 1 dict | 50 ms | 100.0 / 117.0 | 2.0 / 2.0 | 2.30 |" in text


def test_what_names_no_limit_has_no_target():
    assert "target" not in text_of({"open and read 50,000 rows": row(400)})


def test_rates_are_compared_at_every_distance():
    found = {round_trip: {OURS: {12: run(*[5] * 12)}, RELEASED: {12: run(*[other] * 12)}} for round_trip, other in ((0, 2), (50, 1))}
    text = text_of(found=found)
    assert "- 12 writers at 0 ms: 2.5x the rate of datashard 0.11.2 (target: at least 5x) MISSED" in text
    assert "- 12 writers at 50 ms: 5.0x the rate of datashard 0.11.2 (target: at least 5x) reached" in text
    assert "| datashard (this) | 30.0 / 100 / 100 |" in text


def test_hosts_are_compared_with_hosts():
    found = {50: {report.HOSTS: {12: run(6, 6)}, report.HOSTS_ALONE: {12: run(2, 2)}, OURS: {1: run(3)}}}
    text = text_of(found=found)
    assert "- 12 hosts at 50 ms: 3.00x the rate of hosts that commit each for itself" in text
    assert "| datashard (this) | 1.5 / 100 / 100 | – |" in text


@pytest.mark.parametrize(("slowest", "word"), [(3, "reached"), (2, "MISSED")])
def test_the_slowest_host_is_compared_with_the_one_in_the_middle(slowest, word):
    text = text_of(fair={report.HOSTS: run(slowest, 9, 9, 30)})
    assert f"| {report.HOSTS} | {slowest} | 9 | 30 |" in text
    assert f"the slowest has {slowest / 9:.2f} of the median (target: at least a third) {word}" in text


def test_rows_of_all_runs_are_accounted_for():
    wrong = run(2, 2)
    wrong.raised, wrong.raised_there, wrong.lost = 3, 1, 2
    wrong.messages["Conflict: `v7`"] = 3
    text = text_of(found={0: {RELEASED: {4: run(1), 12: wrong}}})
    assert "| datashard 0.11.2 | 5 | 3 | 1 | 2 | 0 |" in text
    assert "- datashard 0.11.2, 3 times: `Conflict: 'v7'`" in text


def options(*arguments: str):
    return bench.parse(["--ours", "a", "--peers", "b", *arguments])


def test_every_system_takes_its_turn_at_every_distance_and_many_hosts_only_far_away():
    turns = bench.turns(options("--rtt", "0,50", "--writers", "1,12", "--hosts", "12,100"))
    assert {(far, n) for far, n, system in turns if system.name == report.ICEBERG} == {(0, 1), (0, 12), (50, 1), (50, 12)}
    assert {(far, n) for far, n, system in turns if system.own_host} == {(0, 12), (50, 12), (50, 100)}
    assert len(turns) == len(set(turns)) == 4 * 4 + 3 * 2
    assert {system.name for _, _, system in bench.turns(options("--systems", f"{OURS};{RELEASED}"))} == {OURS, RELEASED}
    with pytest.raises(SystemExit):
        options("--systems", "nobody")


def test_shares_are_measured_at_the_shortest_distance_that_is_one():
    assert bench.fair_round_trip([50, 0, 10]) == 10
    assert bench.fair_round_trip([0]) == 0


@pytest.mark.skipif(not many_writers.has_own_hosts(), reason="this user cannot mount")
def test_a_host_of_its_own_shares_no_memory(tmp_path):
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$@" > /dev/shm/datashard-of-one-host && cat /dev/shm/datashard-of-one-host\n')
    program.chmod(0o755)
    runner = many_writers.Bench(options("--native", str(tmp_path)), tmp_path)
    command = runner._writer(many_writers.System("x", "x", program="program", own_host=True), Path("place"))
    assert many_writers.subprocess.run(command, capture_output=True, text=True, check=True).stdout == "place\n"
    assert not Path("/dev/shm/datashard-of-one-host").exists()
