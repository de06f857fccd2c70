"""Every Python block of the README.md of `datashard` 0.1.5, 0.2.5 and 0.3.3 runs as it stands.

The texts come from the source packages at run time; they are not ours and no copy of them is kept here. They are
unpacked, never installed. In a block only absolute paths are replaced, by a directory of the test. What a block takes
for granted (a table, a list of files, the id of a snapshot) is made before it, and what it promises is checked after it.

The sections about S3 run on a real server too, after each of their lists of `export` lines; only the variables that say which
server, bucket and keys are set again, to those of the test.
"""

from __future__ import annotations

import gc
import itertools
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Callable

import pytest
import s3_server

import datashard
import datashard.data_structures
import datashard.iceberg

ROOT = Path(__file__).resolve().parents[2]
SDISTS = ROOT / ".cache" / "sdists"
BLOCKS = {"0.1.5": 3, "0.2.5": 10, "0.3.3": 10}

# The paths of the examples, and those that look absolute but are meant from the table's root.
PLACEHOLDERS = ("/path/to/", "/shared/storage/")
OF_THE_TABLE = {"/data/file1.parquet"}

# The blocks of the sections about S3. The last one names the bucket `bucket`, and one of its lines is shell; the others name no
# bucket and run on a directory as well, as their text says.
IN_A_BUCKET = (3, 4, 5, 6)
ONLY_IN_A_BUCKET = 6

Names = dict[str, Any]


def readme(version: str) -> str:
    """The text of README.md inside the source package of `version`, which is downloaded once."""
    archive = SDISTS / f"datashard-{version}.tar.gz"
    if not archive.exists():
        SDISTS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=SDISTS) as scratch:
            done = subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
                                   "--no-deps", "--no-binary", ":all:", "--dest", scratch, f"datashard=={version}"],
                                  capture_output=True, text=True)
            assert done.returncode == 0, f"cannot download {archive.name}:\n{done.stderr}"
            os.replace(Path(scratch) / archive.name, archive)
    with tarfile.open(archive) as unpacked:
        member = unpacked.extractfile(f"datashard-{version}/README.md")
        assert member is not None
        return member.read().decode()


def blocks_of(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def with_paths_below(block: str, directory: Path) -> str:
    """`block` with its absolute paths moved below `directory`."""
    for placeholder in PLACEHOLDERS:
        block = block.replace(f'"{placeholder}', f'"{directory}/')
    left = {path for path in re.findall(r'"(/[^"\n]*)"', block)
            if not path.startswith(f"{directory}/") and path not in OF_THE_TABLE}
    assert not left, f"absolute paths nobody replaces: {left}"
    return block


# What blocks take for granted. Each function gets the names of the block's program and the directory it runs in.

EVENTS = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "user_id", "type": "long", "required": True},
    {"id": 2, "name": "event", "type": "string", "required": True},
    {"id": 3, "name": "timestamp", "type": "long", "required": True}])
PAIRS = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "value", "type": "string", "required": False}])
PEOPLE = datashard.Schema(schema_id=1, fields=[
    {"id": 1, "name": "id", "type": "long", "required": True},
    {"id": 2, "name": "name", "type": "string", "required": True},
    {"id": 3, "name": "age", "type": "int", "required": True},
    {"id": 4, "name": "status", "type": "string", "required": True},
    {"id": 5, "name": "ts", "type": "long", "required": True}])


def nothing(names: Names, directory: Path) -> None:
    pass


def parquet_file(path: Path, rows: int) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.table({"id": range(rows)}), path)


def the_file_it_adds(names: Names, directory: Path) -> None:
    parquet_file(directory / "your" / "table" / "data" / "file1.parquet", 1000)


def a_table_of_events(names: Names, directory: Path) -> None:
    names["table"] = datashard.create_table(directory / "events", EVENTS)
    names["table"].append_records([{"user_id": 1, "event": "login", "timestamp": 1}])


def a_table_and_two_files(names: Names, directory: Path) -> None:
    names["table"] = datashard.create_table(directory / "t")
    for number in (1, 2):
        path = directory / "t" / "data" / f"{number}.parquet"
        parquet_file(path, number)
        names[f"data_file{number}"] = datashard.DataFile(
            file_path=f"/data/{number}.parquet", file_format=datashard.FileFormat.PARQUET, partition_values={},
            record_count=number, file_size_in_bytes=path.stat().st_size)


def an_earlier_append(names: Names, directory: Path) -> None:
    table = datashard.create_table(directory / "my_table", EVENTS)
    table.append_records([{"user_id": 1, "event": "login", "timestamp": 1}])
    names["previous_snapshot_id"] = table.current_snapshot().snapshot_id


def records(names: Names, directory: Path) -> None:
    names["records"] = [{"id": 1, "value": "a"}, {"id": 2, "value": "b"}]


def what_stands_above_it(names: Names, directory: Path) -> None:
    names.update(create_table=datashard.create_table, schema=PAIRS)


def an_empty_table_of_pairs(names: Names, directory: Path) -> None:
    names["schema"] = PAIRS
    names["table"] = datashard.create_table(directory / "pairs", PAIRS)


def a_snapshot(names: Names, directory: Path) -> None:
    a_table_of_events(names, directory)
    names["snapshot_id"] = names["table"].current_snapshot().snapshot_id


def people_and_callbacks(names: Names, directory: Path) -> None:
    table = datashard.create_table(directory / "people", PEOPLE)
    for start in (0, 50):
        table.append_records([{"id": n, "name": f"n{n}", "age": n, "status": ("failed", "active")[n % 2], "ts": n}
                              for n in range(start, start + 50)])
    names["batches"], names["failures"] = [], []
    names.update(table=table, snapshot_id=table.current_snapshot().snapshot_id, t1=10, t2=19, results=[],
                 process=names["batches"].append, handle_failure=names["failures"].append)


# What blocks promise.

def it_added_the_rows(names: Names, directory: Path) -> None:
    assert names["table"].row_count() == 1000


def unknown_ids_are_none(names: Names, directory: Path) -> None:
    assert names["snapshot"] is None
    assert [s["snapshot_id"] for s in names["snapshots"]] == [names["current"].snapshot_id]
    assert names["traveled_snapshot"] == names["current"]


def both_files_are_in_one_snapshot(names: Names, directory: Path) -> None:
    assert names["table"].row_count() == 3
    assert len(names["table"].snapshots()) == 1


def it_finds_the_earlier_state(names: Names, directory: Path) -> None:
    assert names["success"] is True
    assert names["old_snapshot"].snapshot_id == names["previous_snapshot_id"] != names["snapshot"].snapshot_id
    assert names["table"].scan()[1:] == names["records"]


def it_analyses_the_logs(names: Names, directory: Path) -> None:
    assert sorted(names["logs_df"]["task_id"]) == ["task-001", "task-002"]
    assert list(names["failed_tasks"]["task_id"]) == ["task-002"]
    assert names["avg_duration"] == 175_000


def both_workers_wrote(names: Names, directory: Path) -> None:
    assert [row["worker_id"] for row in names["table"].scan()] == ["worker-1", "worker-2"]


def both_metrics_are_there(names: Names, directory: Path) -> None:
    assert [row["value"] for row in names["table"].scan()] == [45.2, 67.8]


def the_records_are_there(names: Names, directory: Path) -> None:
    assert names["table"].scan() == names["records"]


def the_bucket_was_named_or_not(names: Names, directory: Path) -> None:
    assert datashard.load_table("table").location == names["table"].location != "s3://bucket/table"
    assert datashard.load_table("s3://bucket/table").schema == names["table"].schema


def the_table_is_empty(names: Names, directory: Path) -> None:
    assert names["table"].scan() == [] and names["table"].current_snapshot() is None


def appended_twice(names: Names, directory: Path) -> None:
    assert names["success"] is True
    assert names["table"].scan() == names["records"] * 2
    assert len(names["table"].snapshots()) == 2


def before_the_first_there_is_none(names: Names, directory: Path) -> None:
    assert len(names["snapshots"]) == 1 and names["snapshot"] is None


def it_reads_in_every_way(names: Names, directory: Path) -> None:
    assert len(names["snapshots"]) == 2 and names["snapshot"] is None
    assert len(names["records"]) == 100
    assert len(names["df"]) == 50 and set(names["df"]["status"]) == {"active"}
    assert [row["id"] for batch in names["batches"] for row in batch] == list(range(100))
    assert [row["id"] for row in names["failures"]] == list(range(0, 100, 2))
    counted = Counter()
    for counts in names["results"]:
        counted.update(counts["id"].to_dict())
    assert counted == {"failed": 50, "active": 50}


def it_is_a_schema(names: Names, directory: Path) -> None:
    assert [field["name"] for field in names["schema"].fields] == ["user_id"]


Step = Callable[[Names, Path], None]
COMMON: dict[int, tuple[Step, Step]] = {
    1: (an_earlier_append, it_finds_the_earlier_state),
    2: (nothing, it_analyses_the_logs),
    3: (nothing, both_workers_wrote),
    4: (nothing, both_metrics_are_there),
    5: (records, the_records_are_there),
    7: (nothing, the_table_is_empty),
    8: (an_empty_table_of_pairs, appended_twice),
    10: (nothing, it_is_a_schema),
}
STEPS: dict[tuple[str, int], tuple[Step, Step]] = {
    ("0.1.5", 1): (the_file_it_adds, it_added_the_rows),
    ("0.1.5", 2): (a_table_of_events, unknown_ids_are_none),
    ("0.1.5", 3): (a_table_and_two_files, both_files_are_in_one_snapshot),
    **{("0.2.5", number): steps for number, steps in COMMON.items()},
    ("0.2.5", 9): (a_snapshot, before_the_first_there_is_none),
    **{("0.3.3", number): steps for number, steps in COMMON.items()},
    ("0.3.3", 9): (people_and_callbacks, it_reads_in_every_way),
}


@pytest.mark.parametrize(("version", "number"), sorted(STEPS), ids=lambda value: str(value))
def test_a_block_runs(version, number, tmp_path, monkeypatch):
    before, after = STEPS[version, number]
    block = with_paths_below(blocks_of(readme(version))[number - 1], tmp_path)
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("DATASHARD_")]:
        monkeypatch.delenv(variable)
    # 0.1.5 calls the package by the directory it was developed in.
    for name, module in (("rewrite", datashard), ("rewrite.iceberg", datashard.iceberg),
                         ("rewrite.data_structures", datashard.data_structures)):
        monkeypatch.setitem(sys.modules, name, module)
    names: Names = {"__name__": f"block_{number}"}
    before(names, tmp_path)
    exec(compile(block, f"README.md of {version}, block {number}", "exec"), names)
    after(names, tmp_path)


@pytest.mark.parametrize("version", sorted(BLOCKS))
def test_every_block_is_run_or_excluded(version):
    assert len(blocks_of(readme(version))) == BLOCKS[version]
    in_a_bucket = {ONLY_IN_A_BUCKET} if shell_settings(version) else set()
    assert {number for v, number in STEPS if v == version} == set(range(1, BLOCKS[version] + 1)) - in_a_bucket


def shell_settings(version: str) -> list[str]:
    """The blocks of shell that choose S3: with everything, for MinIO, and without keys."""
    return [block for block in re.findall(r"^```bash\n(.*?)^```", readme(version), re.MULTILINE | re.DOTALL)
            if "export DATASHARD_STORAGE_TYPE=s3" in block]


def exported_by(shell: str) -> dict[str, str]:
    """The variables that a piece of shell exports."""
    done = subprocess.run(["bash", "-euc", shell + "\nenv -0"], env={"PATH": os.environ["PATH"]}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    variables = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {name: value for name, value in variables.items() if name.startswith("DATASHARD_")}


@pytest.fixture(scope="module")
def server():
    with s3_server.running(s3_server.Options(bucket="bucket", keep_alive=True)) as running:
        yield running
        gc.collect()  # tables write their last hint when they go


def set_here(exported: dict[str, str], server: s3_server.Running, bucket: str, monkeypatch) -> None:
    """What a page exports, but for this server and bucket."""
    ours = {**server.variables, "DATASHARD_S3_BUCKET": bucket}
    for name, value in exported.items():
        monkeypatch.setenv(name, value if name in ("DATASHARD_S3_REGION", "DATASHARD_S3_PREFIX") else ours[name])


def run_lines(block: str, names: Names, export: Callable[[dict[str, str]], None]) -> None:
    """Runs a block line for line as it stands: `export` lines by the shell, all others as Python."""
    for is_shell, lines in itertools.groupby(block.splitlines(keepends=True), lambda line: line.startswith("export ")):
        if is_shell:
            export(exported_by("".join(lines)))
        else:
            exec(compile("".join(lines), "a block about S3", "exec"), names)


@pytest.mark.parametrize("setting", range(3), ids=["everything", "minio", "role"])
@pytest.mark.parametrize("version", ["0.2.5", "0.3.3"])
def test_the_sections_about_s3_run_in_a_bucket(version, setting, server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith(("DATASHARD_", "AWS_"))]:
        monkeypatch.delenv(variable)
    bucket = f"section-{version.replace('.', '-')}-{setting}"
    assert s3_server.request(server, "PUT", f"/{bucket}")[0] == 200

    def export(exported: dict[str, str]) -> None:
        set_here(exported, server, bucket, monkeypatch)

    settings = [exported_by(shell) for shell in shell_settings(version)]
    assert len(settings) == 3
    export(settings[setting])
    has_keys = "DATASHARD_S3_ACCESS_KEY" in settings[setting]
    if not has_keys:  # the section about roles
        for name, value in (("AWS_ENDPOINT_URL_S3", server.endpoint), ("AWS_ACCESS_KEY_ID", server.access_key),
                            ("AWS_SECRET_ACCESS_KEY", server.secret_key)):
            monkeypatch.setenv(name, value)
    for number in IN_A_BUCKET if has_keys else IN_A_BUCKET[:-1]:
        before, after = STEPS.get((version, number), (what_stands_above_it, the_bucket_was_named_or_not))
        names: Names = {"__name__": f"block_{number}"}
        before(names, tmp_path)
        run_lines(blocks_of(readme(version))[number - 1], names, export)
        after(names, tmp_path)
        assert names["table"].location.startswith(f"s3://{bucket}/")
    assert list(tmp_path.iterdir()) == [], "nothing local is made"


def test_an_unknown_absolute_path_is_found(tmp_path):
    with pytest.raises(AssertionError, match="/elsewhere/t"):
        with_paths_below('create_table("/elsewhere/t")\n', tmp_path)
    assert with_paths_below('create_table("/path/to/t")', tmp_path) == f'create_table("{tmp_path}/t")'
