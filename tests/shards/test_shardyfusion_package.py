"""What `import shardyfusion` offers and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import shardyfusion


def loaded_after(program):
    """Modules of others that a fresh interpreter has loaded after `program`."""
    done = subprocess.run([sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_it_loads_nothing_heavy():
    heavy = {"pydantic", "yaml", "sqlite3", "prometheus_client", "opentelemetry", "psycopg", "datashard", "pyarrow", "numpy"}
    assert not heavy & loaded_after("import shardyfusion; shardyfusion.ConfigValidationError; shardyfusion.KeyEncoding; shardyfusion.ValueSpec")
    assert not {"pydantic", "yaml"} & loaded_after("from shardyfusion import HashShardedWriteConfig, TokenBucket, RetryConfig")
    assert "pydantic" in loaded_after("from shardyfusion import ParsedManifest")


def test_checkers_and_the_interpreter_are_told_the_same_names():
    tree = ast.parse(Path(shardyfusion.__file__).read_text())
    imports = next(node for node in tree.body if isinstance(node, ast.If))
    told = {alias.name: node.module for node in imports.body for alias in node.names}
    assert told == shardyfusion._MODULE_OF and sorted(told) == shardyfusion.__all__ and len(told) == 114
    assert set(told) <= set(dir(shardyfusion))


@pytest.mark.parametrize("name", shardyfusion.__all__)
def test_every_name_is_where_the_table_says(name):
    assert getattr(shardyfusion, name) is vars(shardyfusion)[name]


def test_without_pydantic_the_error_says_what_to_install():
    program = "import sys; sys.modules['pydantic'] = None\nimport shardyfusion\nshardyfusion.ParsedManifest"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ParsedManifest needs pydantic: pip install pydantic pyyaml" in done.stderr


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'nothing'"):
        shardyfusion.nothing
