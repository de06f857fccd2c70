"""Errors: one line on standard error, what to do next, and the documented exit code."""
import os
import stat
import subprocess

import pytest


@pytest.mark.parametrize("arguments, part", [
    (["scna", "t"], "scan is the nearest"),
    (["scan"], "TABLE is required"),
    (["scan", "people", "--colums", "id"], "--columns is the nearest"),
    (["scan", "people", "extra"], "takes no further argument"),
    (["scan", "people", "--limit", "-1"], "--limit"),
    (["scan", "people", "--limit", "many"], "--limit"),
    (["scan", "people", "--threads", "0"], "--threads"),
    (["scan", "people", "--format", "xml"], "--format"),
    (["scan", "people", "--format", "csv", "--json"], "--json"),
    (["scan", "people", "--where"], "--where"),
    (["scan", "people", "--where", ""], "expected a column name"),
    (["scan", "people", "--where", "id = 1 or id = 2"], "OR is not supported"),
    (["scan", "people", "--where", "nmae = x"], "did you mean 'name'?"),
    (["scan", "people", "--where", "id = abc"], "column id"),
    (["scan", "people", "--columns", "nmae"], "did you mean 'name'?"),
    (["scan", "people", "--columns", "id,id"], "id"),
    (["count", "people", "--where", "score = 1,5"], "expected AND"),
    (["create", "t", "--schema", "id:lnog"], "unknown type 'lnog'"),
    (["create", "t", "--schema", "id:long,id:long"], "id"),
    (["create", "t", "--schema", "a:long", "--like", "x.csv"], "--"),
    (["create", "t", "--if-exists", "replace"], "--if-exists"),
    (["create", "t", "--property", "novalue"], "key=value"),
    (["import", "t"], "FILE is required"),
    (["import", "t", "x.csv", "--batch-rows", "0"], "--batch-rows"),
])
def test_wrong_usage_is_code_2_and_says_what_is_wrong(people, arguments, part):
    assert part in people.fails(2, *arguments)
    assert not (people.directory / "t").exists()


def test_a_missing_table_is_code_3_and_nothing_is_created(cli):
    for command in (["scan"], ["count"], ["info"], ["log"], ["append"]):
        error = cli.fails(3, *command, "nowhere", stdin='{"id":1}\n')
        assert "nowhere" in error and "datashard create" in error
    assert not list(cli.directory.iterdir())


def test_a_table_path_that_is_a_file_is_an_error(cli):
    (cli.directory / "t").write_text("x")
    for command in (["scan", "t"], ["create", "t", "--schema", "id:long"], ["import", "t", "-"]):
        answer = cli.run(*command, stdin='{"id":1}\n')
        assert answer.code in (2, 3, 4, 7, 11) and answer.err.startswith("datashard: "), answer
    assert (cli.directory / "t").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_is_code_8(cli):
    (cli.directory / "locked").mkdir()
    (cli.directory / "locked").chmod(stat.S_IRUSR | stat.S_IXUSR)
    cli.fails(8, "create", "locked/t", "--schema", "id:long")


def test_damage_is_code_10_and_gives_no_silent_rows(people):
    for path in (people.directory / "people" / "data").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])
    people.fails(10, "scan", "people")
    people.fails(10, "count", "people", "--where", "id > 0")


def test_a_missing_data_file_is_code_3(people):
    for path in (people.directory / "people" / "data").glob("*.parquet"):
        path.unlink()
    people.fails(3, "scan", "people")


def test_names_from_outside_cannot_forge_lines_or_move_the_cursor(people):
    for arguments in (["scan", "no\x1b[2Jwhere\nOK"], ["scan", "people", "--columns", "\x1b]0;x\x07"],
                      ["scan", "people", "--where", "a \x1b[2J"], ["x\x1b[2J"], ["import", "t", "\x1b[2J.csv"]):
        answer = people.run(*arguments)
        assert answer.code != 0 and "\x1b" not in answer.err and answer.err.count("\n") == 1, answer


def test_a_full_disk_behind_the_output_is_an_error(people):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([people.path, "scan", "people"], stdout=full, stderr=subprocess.PIPE, cwd=people.directory)
    assert done.returncode == 7 and b"cannot write the output" in done.stderr


@pytest.mark.parametrize("ignored", [False, True])
def test_a_reader_that_stops_early_is_no_error(people, ignored):
    """As `datashard scan t | head -n 1`; with SIGPIPE ignored too, which is how Python starts its children."""
    people.ok("append", "people", stdin="".join(f'{{"id":{i},"name":"{"x" * 50}"}}\n' for i in range(100_000)))
    process = people.popen("scan", "people", restore_signals=not ignored)
    assert process.stdout.readline().startswith(b'{"id":1,')
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=30) == 0


def test_no_command_prints_help(cli):
    assert cli.ok() == cli.ok("--help")
    assert "Usage: datashard" in cli.ok("--help")
    assert "Usage: datashard scan" in cli.ok("scan", "--help")
