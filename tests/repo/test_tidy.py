"""`make tidy`: what a file of this repository must not contain, and what to write instead."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES_MAX = 600

# What production C++ may not do by itself: (what, instead, the rooms that may). Tests and the simulation are left alone.
DOORS = [
    (re.compile(r"\b(system_clock|steady_clock|high_resolution_clock)::now|\b(clock_gettime|gettimeofday|time)\((NULL|nullptr|0|&|CLOCK)"),
     "a direct clock; use Clock (src/base/clock.h)", {"base", "cli"}),
    (re.compile(r"\brandom_device\b|\bmt19937|\b(getrandom|getentropy|srand|rand)\("),
     "direct randomness; use Random (src/base/random.h)", {"base"}),
    (re.compile(r"\bsleep_(for|until)\b|\b(usleep|nanosleep|clock_nanosleep)\("),
     "a direct sleep; use Clock::Sleep (src/base/clock.h)", {"base"}),
    (re.compile(r"\bstd::(cout|cerr|clog)\b|(?<![\w:.])(std::)?(f?printf|f?puts|putchar|perror)\(|\bfmt::print\b"),
     "a direct print; use Log (src/base/log.h)", {"base", "cli"}),
    (re.compile(r"\b(std::)?(getenv|setenv|putenv)\("),
     "a look into the environment; take a setting", {"base", "cli", "python"}),
]

# What no file may contain. Written in pieces, so that this file does not contain them either.
FORBIDDEN = [
    (re.compile(r"(?<![\w./})-])/(work/main|work/sh" + r"ared|root/[.\w]|home/(?!me/)\w)"), "an absolute path of one machine"),
    (re.compile(r"\.\./" + "shared"), "a path outside the repository"),
    (re.compile("|".join(host.replace(" ", "") for host in (
        r"py pi\.org", r"python hosted\.org", r"crates \.io", r"npm js\.(com|org)", r"proxy\.go lang\.org",
        r"repo1?\.maven", r"deb\.deb ian\.org"))), "the host of a package registry; the machine's configuration says it"),
    (re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"), "an unfinished line"),
]


def tracked() -> list[Path]:
    """Every file that is, or is about to be, part of the repository."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def text_of(path: Path) -> str | None:
    """The file's text; None for binary files and for what other people wrote."""
    if "golden" in path.parts or path.name == "LICENSE":
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def doors_in(path: str, text: str) -> list[str]:
    """Lines of production C++ that go around the one door to the outside."""
    parts = path.split("/")
    room = parts[1] if parts[0] == "src" else parts[0]
    if room not in {"include", "cli", "python"} and parts[0] != "src":
        return []
    if room == "sim" or path.endswith("_test.cc") or "test_support" in path or not path.endswith((".h", ".cc")):
        return []
    return [f"{path}:{number}: {instead}"
            for number, line in enumerate(text.splitlines(), start=1)
            for pattern, instead, rooms in DOORS
            if room not in rooms and pattern.search(line.split("//")[0])]


def forbidden_in(path: str, text: str) -> list[str]:
    return [f"{path}:{number}: {what}" for number, line in enumerate(text.splitlines(), start=1)
            for pattern, what in FORBIDDEN if pattern.search(line)]


@pytest.mark.parametrize("check", [doors_in, forbidden_in])
def test_no_file_contains_what_it_must_not(check):
    found = [line for path in tracked() if (text := text_of(path)) is not None
             for line in check(str(path.relative_to(ROOT)), text)]
    assert not found, "\n".join(found)


def test_no_source_file_is_crowded():
    sizes = {str(path.relative_to(ROOT)): path.read_bytes().count(b"\n") for path in tracked()
             if path.suffix in (".h", ".cc", ".py", ".sh", ".cmake") and "golden" not in path.parts}
    assert len(sizes) > 50
    crowded = {path: lines for path, lines in sizes.items() if lines > LINES_MAX}
    assert not crowded, f"more than {LINES_MAX} lines; split along the idea: {crowded}"


def test_scripts_stop_at_the_first_error():
    """Every shell script sets -euo pipefail, itself or by dev/lib.sh."""
    assert "set -euo pipefail" in (ROOT / "dev/lib.sh").read_text()
    scripts = [path for path in tracked() if path.suffix == ".sh" or path.read_bytes()[:20].startswith(b"#!/usr/bin/env bash")]
    assert len(scripts) >= 5
    lax = [str(path.relative_to(ROOT)) for path in scripts
           if "set -euo pipefail" not in path.read_text() and "/lib.sh" not in path.read_text()]
    assert not lax, lax


def test_the_lock_files_pin_every_package():
    for lock in sorted((ROOT / "dev").glob("*.lock")):
        lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
        assert lines
        loose = [line for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.+!]+", line)]
        assert not loose, f"{lock.name}: {loose}"


def test_the_version_is_the_same_everywhere():
    version = re.search(r'^__version__ = "([^"]+)"', (ROOT / "python/datashard/_version.py").read_text(), re.MULTILINE)[1]
    project = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{version}"' in project or "_version.py" in project
    assert version.split(".dev")[0] in (ROOT / "CMakeLists.txt").read_text()
    assert version.split(".dev")[0] in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(("path", "line", "wrong"), [
    ("src/table/x.cc", "auto now = std::chrono::system_clock::now();", True),
    ("src/base/x.cc", "auto now = std::chrono::system_clock::now();", False),
    ("src/table/x_test.cc", "auto now = std::chrono::system_clock::now();", False),
    ("src/table/x.cc", "clock.Now();  // not system_clock::now()", False),
    ("src/data/x.cc", "std::mt19937_64 engine;", True),
    ("src/commit/x.cc", "std::this_thread::sleep_for(delay);", True),
    ("src/storage/x.cc", 'std::printf("%d", 1);', True),
    ("src/storage/x.cc", "std::snprintf(text, sizeof text, format);", False),
    ("cli/x.cc", 'std::printf("%d", 1);', False),
    ("src/storage/x.cc", 'getenv("HOME")', True),
])
def test_the_check_sees_side_doors(path, line, wrong):
    assert bool(doors_in(path, line)) == wrong


@pytest.mark.parametrize(("line", "wrong"), [
    ("cd /" + "work/main", True), ("/" + "root/.cache", True), ("at /home/" + "ann/x", True), ("/home/me/sales", False),
    ("https://py" + "pi.org/simple", True), ("../sha" + "red/x.md", True), ("pip install datashard", False),
    ("# TO" + "DO: later", True), ("tests/work/x", False),
])
def test_the_check_sees_what_is_forbidden(line, wrong):
    assert bool(forbidden_in("x", line)) == wrong
