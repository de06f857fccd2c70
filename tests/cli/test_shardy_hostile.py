"""What `shardy` does with keys and values that mean harm, with wrong numbers and files, and when it is stopped."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from shardy_command import Shardy, publish

HOSTILE = {"\x1b]0;title\x07": b"\x1b[2J", "csi \u009b31m": "\u009b31m".encode(), "right \u202e to left": "\u202ereversed".encode(),
           "line\nbreak": b"a\nb", "": b"", "\U000E0041 tag": b"\xff\xfe", "get": b"a command's name", "--ref": b"an option's name"}
OBEYED = ("\x1b", "\x07", "\u009b", "\u202e", "\U000E0041")


@pytest.fixture
def shardy(tmp_path: Path) -> Shardy:
    publish(tmp_path, {i: b"value" for i in range(100)}, "only")
    return Shardy(tmp_path)


@pytest.fixture
def hostile(tmp_path: Path) -> Shardy:
    from shardyfusion.sqlite_adapter import SqliteFactory

    publish(tmp_path, HOSTILE, "hostile", key_encoding="utf8", adapter_factory=SqliteFactory())
    (tmp_path / "reader.toml").write_text('[output]\nvalue_encoding = "utf8"\n')
    return Shardy(tmp_path)


def test_json_says_what_is_there_and_holds_nothing_that_a_terminal_obeys(hostile: Shardy):
    for form in ("json", "jsonl"):
        for command in (["multiget", "--", *HOSTILE], ["shards"]):
            out = hostile.ok("--output-format", form, *command)
            assert not any(c in out for c in OBEYED), (form, command)
    answer = hostile.json("multiget", "--", *HOSTILE)
    assert {result["key"]: result["value"] for result in answer["results"]} == {
        key: value.decode(errors="replace") for key, value in HOSTILE.items()}


@pytest.mark.parametrize("form", ["text", "table"])
def test_a_line_is_one_pair_whatever_the_pair_is(hostile: Shardy, form):
    out = hostile.ok("--output-format", form, "multiget", "--", *HOSTILE)
    assert not any(c in out for c in OBEYED)
    assert len(out.splitlines()) == len(HOSTILE) + (form == "table")


def test_errors_that_repeat_what_was_typed_are_harmless_too(shardy: Shardy):
    answer = shardy.run("get", "\x1b[2J\u009b")
    assert answer.code == 1 and not any(c in answer.err for c in OBEYED)
    assert "\x1b[2J\u009b" in json.loads(answer.err)["error"]


def test_keys_may_be_called_like_commands_and_options(hostile: Shardy):
    assert hostile.json("get", "get")["value"] == "a command's name"
    assert hostile.json("get", "--", "--ref")["value"] == "an option's name"


def test_the_prompt_goes_on_after_a_line_that_is_not_utf8(shardy: Shardy):
    out = shardy.run(stdin=b"\xff\xfe 1\nget \xff\nget 42\n").out
    assert out.count('"error"') == 2 and '"found": true' in out


def test_a_manifest_that_cannot_be_used_is_not_kept_by_the_prompt(shardy: Shardy):
    out = shardy.ok("--output-format", "text", stdin="use --ref nonsense\nuse --offset 7\nget 42\nhistory 0\nhealth nan\n")
    lines = out.splitlines()[1:]
    assert [line.split(":")[0].split("=")[0] for line in lines] == ["error", "error", "42", "error", "error"]


def test_numbers_without_end_are_refused_or_bounded(shardy: Shardy):
    assert "1 manifests" in shardy.refused("--offset", str(2**63 - 1), "info")["error"]
    assert len(shardy.json("history", "--limit", str(2**63 - 1))["manifests"]) == 1
    assert shardy.json("health", "--staleness-threshold", "1e300")["status"] == "healthy"
    assert "seconds" in shardy.refused("health", "--staleness-threshold", "nan", code=2)["error"]
    for option in ("max_attempts=1e300", "max_attempts=0.5", "connect_timeout=nan", "read_timeout=-1"):
        assert option.split("=")[0] in shardy.refused("--s3-option", option, "info")["error"]
    assert "whole numbers" in shardy.refused("get", "-5")["error"]
    assert "whole numbers" in shardy.refused("get", str(2**64))["error"]


def test_options_may_stand_behind_the_command(shardy: Shardy):
    assert shardy.ok("get", "4242", "--output-format", "text") == "4242=null\n"
    ref = shardy.json("history")["manifests"][0]["ref"]
    assert shardy.json("info", "--ref", ref)["run_id"] == "only"
    assert shardy.json("rollback", "--ref", ref, "--current-url", shardy.current)["run_id"] == "only"


def test_a_word_that_nobody_takes_is_named(shardy: Shardy):
    assert "no command gte, did you mean get?" in shardy.refused("gte", "1")["error"]
    assert "2 is not expected here; see shardy get --help" in shardy.refused("get", "1", "2")["error"]
    assert "--bogus is not" in shardy.refused("--bogus", "get", "1")["error"]
    assert shardy.ok("rollback", "--help").splitlines()[1].startswith("Usage: shardy rollback")


def test_files_that_are_none_are_errors(shardy: Shardy):
    for name, problem in ((".", "directory"), ("x" * 300, "too long"), ("missing.toml", "no file")):
        assert problem in shardy.refused("--config", name, "info")["error"], name
        assert problem in shardy.refused("--credentials", name, "info")["error"], name
    (shardy.directory / "credentials.toml").write_text("[default]\nmax_attempts = 99999999999\n")
    (shardy.directory / "credentials.toml").chmod(0o600)
    assert "max_attempts" in shardy.refused("info")["error"]
    (shardy.directory / "credentials.toml").write_text("a = " + "[" * 100_000)
    assert "line 1" in shardy.refused("info")["error"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can become somebody who may not look")
def test_a_home_that_may_not_be_searched_holds_no_settings(shardy: Shardy):
    home = shardy.directory / "home"
    (home / ".config" / "shardy").mkdir(parents=True)
    home.chmod(0o700)
    done = subprocess.run([shardy.path, "schema"], user="nobody", capture_output=True, cwd="/", env={"HOME": str(home)})
    assert done.returncode == 0, done
    done = subprocess.run([shardy.path, "info"], user="nobody", capture_output=True, cwd="/", env={"HOME": str(home)})
    assert done.returncode == 1 and "--current-url" in json.loads(done.stderr)["error"]


@pytest.mark.parametrize("script, problem", [
    ("# nothing\n", "line 1"), ("", "empty"), ("[" * 100_000, "bad file"), ("commands: [{op: get}]", "no key"), ("commands: 7", "on_error"),
    ("commands:\n  - {op: health, staleness_threshold: .nan}", "line 2"), ("commands: [{op: get, key: {a: 1}}]", "single value"),
    ("a: &a [*a]", "line 1"), ("commands: []\non_error: maybe", "stop or continue"), ("\x00\x01", "line"),
])
def test_a_broken_script_is_refused_with_its_line(shardy: Shardy, script, problem):
    (shardy.directory / "script.yaml").write_text(script)
    assert problem in shardy.refused("exec", "--script", "script.yaml")["error"]


def test_a_pointer_that_was_lost_or_damaged_is_made_anew(shardy: Shardy):
    pointer = shardy.directory / "people" / "_CURRENT"
    pointer.unlink()
    assert "nothing was published" in shardy.refused("get", "1")["error"]
    assert len(shardy.json("history")["manifests"]) == 1
    shardy.ok("rollback", "--offset", "0")
    assert shardy.json("get", "1")["found"] is True
    pointer.write_bytes(b"{}")
    assert "pointer" in shardy.refused("get", "1")["error"]
    assert shardy.run("rollback", "--offset", "0").code == 0
    assert shardy.json("get", "1")["found"] is True


def test_many_keys_come_through_a_pipe_and_a_reader_may_leave_early(shardy: Shardy):
    keys = "".join(f"{i}\n" for i in range(200_000))
    answer = shardy.json("multiget", "-", stdin=keys)
    assert sum(result["found"] for result in answer["results"]) == 100 and len(answer["results"]) == 200_000
    process = shardy.popen("--output-format", "text", "multiget", "-")
    threading.Thread(target=lambda: (process.stdin.write(keys.encode()), process.stdin.close())).start()
    assert process.stdout.readline() == b"0=dmFsdWU=\n"
    process.stdout.close()
    assert process.wait(timeout=30) == 0 and process.stderr.read() == b""


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("arguments", [["multiget", "1", "-"], []])
def test_a_silent_standard_input_can_be_interrupted(shardy: Shardy, arguments, number, code):
    process = shardy.popen(*arguments)
    process.stdin.write(b"2\n" if arguments else b"get 2\n")
    process.stdin.flush()
    time.sleep(0.3)
    assert process.poll() is None, "it waits for more"
    process.send_signal(number)
    assert process.wait(timeout=10) == code
    out, error = process.stdout.read(), process.stderr.read()
    assert b"multiget" not in out, "half of the keys are not looked up"
    assert json.loads(error)["error"] in ("interrupted", "terminated")


@pytest.mark.parametrize("arguments", [["get", "1"], ["history"], ["cleanup"], ["rollback", "--offset", "1"]])
def test_a_bucket_that_does_not_answer_can_be_left(shardy: Shardy, arguments):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shardy.current = "s3://bucket/people/_CURRENT"
        options = [f"endpoint_url=http://127.0.0.1:{silent.getsockname()[1]}", "access_key_id=a", "secret_access_key=b", "region_name=r"]
        process = shardy.popen(*(word for option in options for word in ("--s3-option", option)), *arguments)
        connection, _ = silent.accept()
        with connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        assert json.loads(process.stderr.read())["op"] == arguments[0]


def test_a_full_disk_is_an_error(shardy: Shardy):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([shardy.path, "info"], stdout=full, stderr=subprocess.PIPE, env=shardy.environment(), cwd=shardy.directory)
    assert done.returncode == 1 and "No space left" in json.loads(done.stderr)["error"]
