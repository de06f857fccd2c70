"""The face of the extension module is pinned: a change of it shows up in review."""

from __future__ import annotations

from pathlib import Path

import datashard._core
from nanobind.stubgen import StubGen

PINNED = Path(__file__).resolve().parents[2] / "python" / "datashard" / "_core.pyi.ref"


def test_stub_is_the_pinned_one():
    stub = StubGen(datashard._core)
    stub.put(datashard._core)
    assert stub.get() == PINNED.read_text(), (
        "datashard._core has another face than python/datashard/_core.pyi.ref; if that is wanted, run "
        "python -m nanobind.stubgen -m datashard._core -o python/datashard/_core.pyi.ref")
