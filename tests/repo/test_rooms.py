"""The rooms include one another only along the arrows of the table in ARCHITECTURE.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^(\S+)/ +.*-> +(.+)$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+([<"])([^>"]+)[>"]', re.MULTILINE)
# Whose headers are whose. A library that is listed here is nobody else's business: Arrow stays behind `data`.
FOREIGN = {
    "arrow/": {"data"}, "parquet/": {"data"}, "nanobind/": {"python"}, "Python.h": {"python"}, "CLI/": {"cli"},
    "simdjson": {"iceberg"}, "nlohmann/": {"data", "s3", "cli", "generation", "shardwrite", "shardread"},
    "zlib.h": {"iceberg", "data", "slatedb"}, "zstd.h": {"data", "sqlite", "slatedb"},
    "curl/": {"http"}, "openssl/": {"s3"}, "pugixml": {"s3"}, "xxhash": {"routing", "kv"}, "flatbuffers/": {"slatedb"},
    "slatedb_generated.h": {"slatedb"}, "snappy": {"slatedb"}, "lz4": {"slatedb"}, "sqlite3.h": {"generation"}, "libpq-fe.h": {"generation"},
    "yaml-cpp/": {"generation", "cli"}, "toml++/": {"cli"}, "editline/": {"cli"},
}


def arrows(architecture: str) -> dict[str, set[str]]:
    """room: everything it may include, itself and what lies beneath its arrows."""
    direct = {}
    for line in architecture.splitlines():
        if match := ROW.match(line):
            room = room_of(match[1] + "/x.h")
            direct[room] = set() if match[2] == "(nothing)" else set(match[2].split(", "))
    reached: dict[str, set[str]] = {}

    def reach(room: str) -> set[str]:
        if room not in reached:
            reached[room] = {room}.union(*(reach(below) for below in direct[room]))
        return reached[room]

    return {room: reach(room) for room in direct}


def room_of(path: str) -> str | None:
    """The room of a file by its path; None outside the rooms."""
    first, _, rest = path.partition("/")
    if first == "src":
        return rest.partition("/")[0]
    return first if first in ("include", "cli", "python") else None


def is_test(path: str) -> bool:
    """Tests, and the suites they share, may use the simulation and tests/support."""
    return path.endswith("_test.cc") or "test_support" in path or Path(path).name == "conformance.h"


def strays(allowed: dict[str, set[str]], path: str, text: str) -> list[str]:
    """The include lines of `path` that point where no arrow does."""
    room = room_of(path)
    if room not in allowed:
        return [f"{path}: there is no row for {room!r} in ARCHITECTURE.md"]
    found = []
    for kind, header in INCLUDE.findall(text):
        target = target_of(kind, header, allowed)
        if target is None or target in allowed[room]:
            continue
        if is_test(path) and target in ("sim", "support"):
            continue
        if room == "sim" and target == "support":
            continue
        found.append(f"{path} ({room}) includes {header} ({target})")
    for _, header in INCLUDE.findall(text):
        for prefix, owners in FOREIGN.items():
            if header.startswith(prefix) and room not in owners and not is_test(path):
                found.append(f"{path} ({room}) includes {header}, which is for {' and '.join(sorted(owners))} only")
    return found


def target_of(kind: str, header: str, allowed: dict[str, set[str]]) -> str | None:
    """The room a header belongs to; None for the standard library, for libraries and for files beside the includer."""
    first, slash, _ = header.partition("/")
    if first == "datashard":
        return "include"
    if kind == "<" or not slash:
        return None
    return first if first in allowed or first == "support" else f"unknown directory {first}"


def reached_by_production(files: dict[str, str]) -> dict[str, str]:
    """Headers that code outside tests includes, directly or through other headers: header to one of its includers.

    files: path to text. Headers that only tests include, such as the suite of all stores, are not in the answer.
    """
    found: dict[str, str] = {}
    todo = [path for path in files if path.endswith(".cc") and not is_test(path) and room_of(path) != "sim"]
    while todo:
        path = todo.pop()
        for _, header in INCLUDE.findall(files[path]):
            for place in (f"src/{header}", f"include/{header}", header, f"{Path(path).parent}/{header}", f"tests/{header}"):
                if place in files and place not in found:
                    found[place] = path
                    todo.append(place)
    return found


def only_for_tests(path: str) -> bool:
    return path.startswith(("src/sim/", "tests/")) or is_test(path)


def sources() -> list[Path]:
    return [path for top in ("src", "include", "cli", "python") for path in sorted((ROOT / top).rglob("*"))
            if path.suffix in (".h", ".cc")]


def test_every_include_follows_an_arrow():
    allowed = arrows((ROOT / "ARCHITECTURE.md").read_text())
    assert {"base", "storage", "iceberg", "data", "catalog", "commit", "table", "sim", "cli", "python"} <= set(allowed)
    found = [line for path in sources() for line in strays(allowed, str(path.relative_to(ROOT)), path.read_text())]
    assert not found, "\n".join(found)


def test_production_code_never_reaches_what_is_for_tests():
    files = {str(path.relative_to(ROOT)): path.read_text() for path in [*sources(), *(ROOT / "tests").rglob("*.h")]}
    reached = reached_by_production(files)
    assert "include/datashard/result.h" in reached and "src/base/clock.h" in reached
    wrong = [f"{includer} includes {path}" for path, includer in reached.items() if only_for_tests(path)]
    assert not wrong, "\n".join(wrong)


def test_the_check_sees_a_detour_to_the_simulation():
    files = {"src/table/x.cc": '#include "data/a.h"\n', "src/data/a.h": '#include "sim/clock.h"\n', "src/sim/clock.h": "",
             "src/data/y_test.cc": '#include "data/b.h"\n', "src/data/b.h": '#include "support/m.h"\n', "tests/support/m.h": ""}
    assert reached_by_production(files) == {"src/data/a.h": "src/table/x.cc", "src/sim/clock.h": "src/data/a.h"}
    assert [path for path in files if only_for_tests(path)] == ["src/sim/clock.h", "src/data/y_test.cc", "tests/support/m.h"]


def test_every_room_has_its_row_and_its_readme():
    rooms = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    assert rooms <= set(arrows((ROOT / "ARCHITECTURE.md").read_text()))
    missing = [room for room in sorted(rooms) if not (ROOT / "src" / room / "README.md").exists()]
    assert not missing, f"rooms without a README.md: {missing}"


@pytest.mark.parametrize(("path", "line", "wrong"), [
    ("src/base/x.cc", '#include "storage/object_store.h"', True),
    ("src/storage/x.cc", '#include "base/clock.h"', False),
    ("src/iceberg/x.cc", '#include "storage/object_store.h"', True),
    ("src/iceberg/x.cc", "#include <arrow/api.h>", True),
    ("src/data/x.cc", "#include <arrow/api.h>", False),
    ("src/table/x.cc", '#include "sim/faulty_store.h"', True),
    ("src/table/x_test.cc", '#include "sim/faulty_store.h"', False),
    ("src/table/x.cc", '#include "support/matchers.h"', True),
    ("src/commit/x.cc", '  #  include "base/error.h"', False),
    ("src/catalog/x.cc", '#include "data/data_file.h"', True),
    ("cli/x.cc", '#include "datashard/table.h"', False),
    ("cli/x.cc", '#include "base/clock.h"', True),
    ("python/core/x.cc", '#include "table/table.h"', True),
    ("include/datashard/x.h", '#include "base/clock.h"', True),
    ("include/datashard/x.h", "#include <vector>", False),
    ("src/attic/x.cc", "", True),
])
def test_the_check_sees_wrong_arrows(path, line, wrong):
    assert bool(strays(arrows((ROOT / "ARCHITECTURE.md").read_text()), path, line)) == wrong
