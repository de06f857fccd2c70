"""Where results go: the sections of docs/benchmarks.md, and the line that says which machine they belong to."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}"


def file_system_of(path: Path) -> str:
    """The type of the file system `path` lies on, as /proc/self/mounts names it."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mounts").read_text().splitlines():
        mounted, fs_type = line.split()[1:3]
        inside = mounted == "/" or f"{path.resolve()}/".startswith(mounted + "/")
        if inside and len(mounted) >= len(best):
            best, kind = mounted, fs_type
    return kind


def write_section(path: Path, bench: str, text: str) -> None:
    """Replaces the part of the page between the marks of `bench`."""
    start, end = f"<!-- bench {bench} -->", f"<!-- end {bench} -->"
    page = path.read_text()
    if start not in page or end not in page:
        raise SystemExit(f"{path} has no place for '{bench}': expected the lines {start} and {end}")
    head, rest = page.split(start, 1)
    path.write_text(head + start + "\n" + text + "\n" + end + rest.split(end, 1)[1])
