"""The same pages, other variables: what README.md and others show on a directory runs in a bucket of a real server."""

from __future__ import annotations

from pathlib import Path

import pytest
from pages import program_of, run

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "docs/getting-started.md", "docs/durability.md", "docs/troubleshooting.md"]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_python_blocks_of_a_page_run_in_a_bucket(page, server, tmp_path, monkeypatch):
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DATASHARD_S3_PREFIX", f"pages/{Path(page).stem}")
    monkeypatch.setenv("PEOPLE", f"s3://{server.variables['DATASHARD_S3_BUCKET']}/pages/{Path(page).stem}/people")
    directory = tmp_path / "empty"
    directory.mkdir()
    done = run(program_of((ROOT / page).read_text()), directory, page)
    assert done.returncode == 0, f"{page} (line numbers are the page's):\n{done.stderr}"
    assert list(directory.iterdir()) == [], "nothing local is made"
