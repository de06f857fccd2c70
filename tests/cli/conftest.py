"""Fixtures of the tests of the `datashard` command."""
from pathlib import Path

import pytest
from cli_harness import Command


@pytest.fixture
def cli(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def people(cli: Command) -> Command:
    """A command in a directory with a table `people` of three rows in two snapshots."""
    cli.ok("create", "people", "--schema", "id:long!,name:string,score:double")
    cli.ok("append", "people", stdin='{"id":1,"name":"Ann","score":1.5}\n{"id":2,"name":"Bob"}\n')
    cli.ok("append", "people", stdin='{"id":3,"name":"","score":-2}\n')
    return cli
