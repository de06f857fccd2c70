"""The pages are true: every Python block runs, every link leads somewhere, every `make` recipe exists.

The blocks of a page run in order as one program, in an empty directory.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import program_of, run

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(page.relative_to(ROOT).as_posix() for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# Pages whose blocks are this project's promises to a user; a page that loses its blocks would otherwise pass silently.
WITH_BLOCKS = {"README.md", "docs/getting-started.md", "docs/tables.md", "docs/durability.md", "docs/troubleshooting.md",
               "docs/sharded-snapshots.md"}


@pytest.mark.parametrize("page", [page for page in PAGES if "\n```python\n" in (ROOT / page).read_text()])
def test_the_python_blocks_of_a_page_run(page, tmp_path):
    directory = tmp_path / "empty"
    directory.mkdir()
    done = run(program_of((ROOT / page).read_text()), directory, page)
    assert done.returncode == 0, f"{page} (line numbers are the page's):\n{done.stderr}"


def test_the_pages_that_promise_examples_have_them():
    assert {page for page in WITH_BLOCKS if "\n```python\n" in (ROOT / page).read_text()} == WITH_BLOCKS


def test_a_wrong_block_is_found(tmp_path):
    page = "text\n\n```python\nx = 1\n```\n\n```sh\nexit 1\n```\n\n```python\nassert x == 2\n```\n"
    directory = tmp_path / "empty"
    directory.mkdir()
    done = run(program_of(page), directory, "page.md")
    assert done.returncode == 1 and "line 12" in done.stderr and "AssertionError" in done.stderr


def anchors_of(page: str) -> set[str]:
    """The anchors GitHub gives the headings of a page."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.+)$", page, re.M)}


def dead_links(page: Path, text: str) -> list[str]:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            dead.append(target)
        elif anchor and file.suffix == ".md":
            there = text if file == page else file.read_text()
            if anchor not in anchors_of(there):
                dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert dead_links(ROOT / page, (ROOT / page).read_text()) == []


def test_a_dead_link_is_found():
    text = "# One\n[a](nowhere.md) [b](#one) [c](#two) [d](README.md)"
    assert dead_links(ROOT / "README.md", text) == ["nowhere.md", "#two"]


def missing_paths(text: str) -> list[str]:
    """Paths of this repository in backticks that do not exist; room READMEs and ARCHITECTURE name rooms without src/."""
    named = re.findall(r"`((?:src|include|cli|python|tests|bench|dev|docs|cmake|data|commit|catalog|table|base|storage|iceberg)"
                       r"/[\w./-]*)`", text)
    of_a_table = ("data/auto_", "metadata/")
    return [path for path in named if not path.startswith(of_a_table)
            and not any((ROOT / top / path).exists() for top in ("", "src"))]


@pytest.mark.parametrize("page", [*PAGES, *sorted(r.relative_to(ROOT).as_posix() for r in ROOT.glob("*/*/README.md")
                                                 if not r.relative_to(ROOT).as_posix().startswith((".", "build/")))])
def test_the_files_that_are_named_exist(page):
    assert missing_paths((ROOT / page).read_text()) == []


def test_a_missing_file_is_found():
    text = "`src/base/clock.h` `base/clock.h` `src/attic/` `docs/formats/` `data/nothing.cc` `data/auto_1.parquet`"
    assert missing_paths(text) == ["src/attic/", "data/nothing.cc"]


def recipes() -> set[str]:
    return set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.M))


def unknown_recipes(text: str) -> set[str]:
    code = re.findall(r"`make ([a-z0-9-]+)", text)
    for block in re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S):
        code += re.findall(r"^make ([a-z0-9-]+)", block, re.M)
    return set(code) - recipes()


@pytest.mark.parametrize("page", PAGES)
def test_recipes_exist(page):
    assert unknown_recipes((ROOT / page).read_text()) == set()


def test_an_unknown_recipe_is_found():
    assert unknown_recipes("`make test` `make coffee`\n```sh\nmake tea  # now\nmake demo\n```\n") == {"coffee", "tea"}


def test_the_shell_taste_of_the_readme_runs(tmp_path):
    command = Path(os.environ.get("DATASHARD_COMMAND", Path(sys.prefix) / "bin" / "datashard")).resolve()
    assert command.exists(), f"no command at {command}; `make build` puts it there"
    blocks = [b for b in re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
              if b.startswith("datashard ")]
    assert len(blocks) == 1
    (tmp_path / "flights.csv").write_text(
        "carrier,flight,origin,dep_delay\nB6,1,JFK,130\nAA,2,JFK,NA\nUA,3,EWR,200\n")
    path = f"{command.parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euc", blocks[0]], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PATH": path}, timeout=60)
    assert done.returncode == 0, done.stderr
    assert '{"carrier":"B6","flight":1}' in done.stdout and '"flight":3' not in done.stdout
