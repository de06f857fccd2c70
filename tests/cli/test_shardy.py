"""The `shardy` command as its users run it, on snapshots in a directory."""
import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from cli_harness import ROOT, Answer
from shardy_command import Shardy, publish

DOCS = (ROOT / "docs" / "shardy.md").read_text()
COMMANDS = ["get", "multiget", "info", "shards", "route", "health", "refresh", "exec", "schema", "history", "rollback", "cleanup"]


@pytest.fixture
def shardy(tmp_path: Path) -> Shardy:
    """Two generations: 100 numbers, then 101."""
    publish(tmp_path, {i: f"value-{i}".encode() for i in range(100)}, "first")
    publish(tmp_path, {i: f"value-{i}".encode() for i in range(101)}, "second")
    return Shardy(tmp_path)


def test_get_shows_a_value_or_that_there_is_none(shardy: Shardy):
    assert shardy.json("get", "42") == {"op": "get", "key": "42", "found": True, "value": base64.b64encode(b"value-42").decode()}
    assert shardy.json("get", "4242") == {"op": "get", "key": "4242", "found": False, "value": "null"}
    assert shardy.run("get", "4242", "--strict").code == 1
    assert shardy.run("get", "42", "--strict").code == 0
    error = shardy.refused("get", "forty-two")
    assert error["op"] == "get" and "whole numbers" in error["error"]


def test_multiget_takes_keys_from_standard_input_and_keeps_their_order(shardy: Shardy):
    answer = shardy.json("multiget", "7", "-", stdin="3\r\n\n4242\n")
    assert [(result["key"], result["found"]) for result in answer["results"]] == [("7", True), ("3", True), ("4242", False)]
    assert "value" not in answer["results"][2]
    text = shardy.ok("--output-format", "text", "multiget", "1", "4242")
    assert text == f"1={base64.b64encode(b'value-1').decode()}\n4242=null\n"
    table = shardy.ok("--output-format", "table", "multiget", "1").splitlines()
    assert table[0].split() == ["KEY", "VALUE"] and table[1].split()[0] == "1"


def test_info_shards_and_route_agree(shardy: Shardy):
    info = shardy.json("info")
    assert (info["run_id"], info["num_dbs"], info["sharding"], info["row_count"]) == ("second", 4, "hash", 101)
    assert (info["key_encoding"], info["hash_algorithm"]) == ("u64be", "xxh3_64")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", info["created_at"])
    shards = shardy.json("shards")["shards"]
    assert [shard["db_id"] for shard in shards] == [0, 1, 2, 3]
    assert sum(shard["row_count"] for shard in shards) == 101
    assert 0 <= shardy.json("route", "42")["db_id"] < 4
    assert re.fullmatch(r"42 -> shard [0-3]\n", shardy.ok("--output-format", "text", "route", "42"))


def test_health_tells_by_its_exit_code(shardy: Shardy):
    assert shardy.json("health")["status"] == "healthy"
    stale = shardy.run("health", "--staleness-threshold", "0")
    assert stale.code == 1 and json.loads(stale.out)["status"] == "degraded"
    assert shardy.refused("--current-url", f"file://{shardy.directory}/nothing/_CURRENT", "health", code=2)["op"] == "health"


def test_history_rollback_and_reading_without_moving_the_pointer(shardy: Shardy):
    manifests = shardy.json("history")["manifests"]
    assert [(entry["offset"], entry["run_id"]) for entry in manifests] == [(0, "second"), (1, "first")]
    assert shardy.json("history", "--limit", "1")["manifests"] == manifests[:1]
    assert shardy.json("--offset", "1", "get", "100")["found"] is False
    assert shardy.json("--ref", manifests[1]["ref"], "info")["run_id"] == "first"
    assert shardy.json("get", "100")["found"] is True, "the pointer stayed"
    assert shardy.json("rollback", "--run-id", "first")["ref"] == manifests[1]["ref"]
    assert shardy.json("get", "100")["found"] is False
    assert shardy.json("rollback", "--offset", "0")["run_id"] == "second"
    assert shardy.json("get", "100")["found"] is True
    assert "history" in shardy.refused("rollback", "--run-id", "third")["error"]
    assert "out of range" in shardy.refused("--offset", "2", "info")["error"]


def test_a_pointer_never_moves_to_a_manifest_that_cannot_be_read(shardy: Shardy):
    ref = shardy.json("history")["manifests"][1]["ref"]
    Path(ref.removeprefix("file://")).write_bytes(b"not a manifest")
    assert shardy.refused("rollback", "--ref", ref)["op"] == "rollback"
    assert shardy.json("info")["run_id"] == "second"


def test_cleanup_leaves_what_is_young_and_current(shardy: Shardy):
    answer = shardy.json("cleanup", "--dry-run", "--keep-last", "1")
    assert answer["dry_run"] is True and answer["run_id"] == "second"
    assert answer["total_objects_deleted"] == 0 and answer["old_runs"] == []
    shards = shardy.directory / "people" / "shards"
    hours_ago = (shards / "run_id=first").stat().st_mtime - 7200
    for folder, _, names in os.walk(shards / "run_id=first"):
        for name in names:
            os.utime(Path(folder) / name, (hours_ago, hours_ago))
    planned = shardy.json("cleanup", "--dry-run", "--keep-last", "1")
    assert [run["run_id"] for run in planned["old_runs"]] == ["first"] and planned["total_objects_deleted"] > 0
    assert (shards / "run_id=first").exists()
    done = shardy.json("cleanup", "--keep-last", "1")
    assert done["total_objects_deleted"] == planned["total_objects_deleted"]
    assert not (shards / "run_id=first").exists() or not any((shards / "run_id=first").rglob("*.*"))
    assert shardy.json("get", "100")["found"] is True


def test_exec_runs_a_script_and_stops_or_goes_on_after_an_error(shardy: Shardy):
    script = shardy.directory / "script.yaml"
    script.write_text("commands:\n  - {op: get, key: 42}\n  - {op: get, key: nothing}\n  - {op: info}\n")
    stopped = shardy.run("exec", "--script", str(script))
    lines = [json.loads(line) for line in stopped.out.splitlines()]
    assert stopped.code == 1 and len(lines) == 2
    assert lines[0]["found"] is True and lines[1]["key"] == "nothing" and "error" in lines[1]
    script.write_text("on_error: continue\n" + script.read_text())
    gone_on = shardy.run("exec", "--script", str(script), "--output", "answers.jsonl")
    answers = (shardy.directory / "answers.jsonl").read_text().splitlines()
    assert gone_on.code == 1 and gone_on.out == "" and json.loads(answers[2])["op"] == "info"
    script.write_text("commands:\n  - {op: fetch}\n")
    assert "line 2" in shardy.refused("exec", "--script", str(script))["error"]
    assert "missing.yaml" in shardy.refused("exec", "--script", "missing.yaml")["error"]


def test_the_prompt_reads_commands_until_its_end(shardy: Shardy):
    out = shardy.ok(stdin="get 42\nuse --offset 1\nget 100\nuse --latest\nrefresh\nget 'odd\nfetch\nhistory 1\nquit\nget 1\n")
    banner, _, rest = out.partition("\n")
    assert banner == "Loaded manifest run_id=second  (4 shards, hash sharding)"
    decoder, answers = json.JSONDecoder(), []
    while rest.strip():
        answer, end = decoder.raw_decode(rest.lstrip())
        answers.append(answer)
        rest = rest.lstrip()[end:]
    assert [answer.get("op") for answer in answers] == ["get", "info", "get", "info", "refresh", "", "fetch", "history"]
    assert answers[1]["run_id"] == "first" and answers[2]["found"] is False and answers[3]["run_id"] == "second"
    assert "quote" in answers[5]["error"] and "help" in answers[6]["error"]


def test_the_prompt_edits_lines_on_a_terminal(shardy: Shardy):
    answer: Answer = shardy.on_terminal("bash", "-c", f"printf 'get 42\\nquit\\n' | script -qec '{shardy.path}' /dev/null")
    assert "shardy> " in answer.out and "dmFsdWUtNDI=" in answer.out


def test_configuration_files_say_what_is_read_and_how(shardy: Shardy):
    (shardy.directory / "reader.toml").write_text(
        f'[reader]\ncurrent_url = "{shardy.current}"\n[output]\nformat = "text"\nvalue_encoding = "utf8"\nnull_repr = "nothing"\n')
    assert shardy.ok("get", "42") == "42=value-42\n"
    assert shardy.ok("get", "4242") == "4242=nothing\n"
    credentials = shardy.directory / "credentials.toml"
    credentials.write_text("[default]\n")
    credentials.chmod(0o644)
    assert "0644" in shardy.run("get", "42").err
    (shardy.directory / "reader.toml").write_text("[reader]\nunknown = 1\n")
    assert "unknown" in shardy.refused("get", "42")["error"]


def test_text_keys_are_texts(tmp_path: Path):
    from shardyfusion import KeyEncoding

    publish(tmp_path, {"Ann": b"a", "Zoë": b"z"}, "texts", key_encoding=KeyEncoding.UTF8)
    shardy = Shardy(tmp_path)
    assert shardy.json("get", "Zoë")["found"] is True
    assert shardy.json("get", "1")["found"] is False
    assert {shard["min_key"] for shard in shardy.json("shards")["shards"]} <= {"Ann", "Zoë", None}


def test_a_snapshot_that_is_not_there_is_an_error(shardy: Shardy):
    error = shardy.refused("--current-url", f"file://{shardy.directory}/nothing/_CURRENT", "get", "1")
    assert error["op"] == "get" and "nothing" in error["error"]
    assert "--current-url" in json.loads(subprocess.run([shardy.path, "info"], capture_output=True, cwd="/", env={"PATH": "/"}).stderr)["error"]


def section(command: str) -> str:
    found = re.search(rf"^## {command}\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S)
    assert found, f"docs/shardy.md has no section about {command}"
    return found[1]


def options_of(text: str) -> set[str]:
    return set(re.findall(r"^ +(?:-\w,)?(--[a-z0-9-]+)", text, re.M)) - {"--help"}


def test_every_command_and_option_is_documented_and_the_other_way_round(shardy: Shardy):
    overview = shardy.ok("--help")
    assert set(re.findall(r"^  ([a-z]+) {2,}", overview, re.M)) == set(COMMANDS)
    before = section("Options of all commands")
    assert options_of(overview) == set(re.findall(r"^\| `(--[a-z0-9-]+)", before, re.M))
    for command in COMMANDS:
        assert options_of(shardy.ok(command, "--help")) == set(re.findall(r"^\| `(--[a-z0-9-]+)", section(command), re.M)), command


def test_the_examples_of_the_page_answer_what_it_shows(shardy: Shardy):
    for command, shown in re.findall(r"^\$ shardy ([^\n]+)\n((?:[^$`\n][^\n]*\n)+)", DOCS, re.M):
        if "route" not in command:
            assert shardy.ok(*command.split()) == shown, command


def test_the_script_schema_is_json(shardy: Shardy):
    schema = shardy.json("schema")
    assert "get" in schema["properties"]["commands"]["items"]["properties"]["op"]["enum"]
