"""The programs in the pages of this repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def program_of(page: str) -> str:
    """The Python blocks of a page; every line keeps its number, so that a traceback points into the page."""
    lines, inside = [], False
    for line in page.splitlines():
        fence = line.startswith("```")
        if inside and not fence:
            lines.append(line)
        else:
            lines.append("")
        if fence:
            inside = not inside and line == "```python"
    return "\n".join(lines)


def run(program: str, directory: Path, name: str) -> subprocess.CompletedProcess:
    """Runs a page's program in `directory`; the file itself lies beside it."""
    script = directory.parent / f"{directory.name}-{Path(name).stem}.py"
    script.write_text(program)
    return subprocess.run([sys.executable, str(script)], cwd=directory, capture_output=True, text=True, timeout=120)
