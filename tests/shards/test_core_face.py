"""The face of the extension module is pinned: a change of it shows up in review."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from nanobind.stubgen import StubGen

from shardyfusion import _core

PINNED = Path(__file__).resolve().parents[2] / "python" / "shardyfusion" / "_core.pyi.ref"


def test_stub_is_the_pinned_one():
    stub = StubGen(_core, include_private=True)
    stub.put(_core)
    assert stub.get() == PINNED.read_text(), (
        "shardyfusion._core has another face than python/shardyfusion/_core.pyi.ref; if that is wanted, run "
        "python -m nanobind.stubgen -P -m shardyfusion._core -o python/shardyfusion/_core.pyi.ref")


def test_the_core_loads_without_arrow_and_without_pydantic():
    program = "import sys, shardyfusion._core; print(*sys.modules); print(open('/proc/self/maps').read(), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"pyarrow", "numpy", "pydantic", "datashard"} & {name.split(".")[0] for name in done.stdout.split()}
    assert "libarrow" not in done.stderr


BOTH = """
import {first}, {second}, datashard._core, shardyfusion._core, sys
try:
    datashard.load_table(sys.argv[1] + "/none")
except datashard.DataShardError:
    print("tables")
try:
    shardyfusion._core.ShardRule.make({{"strategy": "hash"}}, 0, None)
except shardyfusion.ConfigValidationError:
    print("snapshots")
"""


@pytest.mark.parametrize("order", [("datashard", "shardyfusion"), ("shardyfusion", "datashard")])
def test_each_package_raises_its_own_errors_beside_the_other(order, tmp_path):
    program = BOTH.format(first=order[0], second=order[1])
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True)
    assert done.stdout == "tables\nsnapshots\n", done.stderr
