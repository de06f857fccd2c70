"""The benchmark `flat` says what its figures say: medians, bytes per commit, spreads and verdicts."""

from __future__ import annotations

import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH))

import flat_report as report  # noqa: E402


def figures(append_ms: float = 3, open_ms: float = 0.2, travel_ms: float = 0.5, old: bool = True) -> report.Figures:
    return report.Figures(append_seconds=[append_ms / 1e3] * 3 + [1.0], append_bytes=280_000, open_seconds=[open_ms / 1e3] * 5,
                          read_seconds=[0.004], travel_seconds=[travel_ms / 1e3], read_at_seconds=[0.001] if old else [],
                          peak_bytes=44_000_000)


def test_a_figure_is_flat_if_the_dearest_is_little_dearer_than_the_cheapest():
    text = report.report({100: figures(old=False), 10_000: figures(append_ms=3.6)}, {100: figures()})
    assert "| append one row, median ms | 3.00 | 3.60 | 1.20x |" in text
    assert "- append one row, median ms: 1.20x (target: at most 1.3x) reached" in text
    assert "| written per commit, KB | 70.00 | 70.00 | 1.00x |" in text
    assert "| read the row of an old snapshot by its id, median ms | – | 1.00 | – |" in text
    cheap = report.report({100: figures(append_ms=2), 10_000: figures()}, {100: figures()})
    assert "- append one row, median ms: 1.50x (target: at most 1.3x) MISSED" in cheap


def test_time_travel_is_measured_against_opening_the_longest_history():
    text = report.report({100: figures(travel_ms=9), 1_000_000: figures(travel_ms=1)}, {100: figures()})
    assert "time_travel among 1,000,000 snapshots: 5.00x the cost of opening (target: below 10x) reached" in text
    text = report.report({100: figures(), 1_000_000: figures(travel_ms=2)}, {100: figures()})
    assert "10.00x the cost of opening (target: below 10x) MISSED" in text
