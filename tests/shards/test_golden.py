"""A snapshot made by the letter of the format, without this project, is read by every reader; what our writer makes is the same."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest
from shardyfusion import (
    AsyncShardedReader, ConcurrentShardedReader, HashShardedWriteConfig, PythonRecordInput, ShardedReader, WriterOutputConfig)
from shardyfusion.sqlite_adapter import SqliteFactory
from shardyfusion.writer.python import write_hash_sharded

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tests/golden/sharded/upstream.py"
PEERS = ROOT / ".cache/venvs/peers/bin/python"
SPEC = importlib.util.spec_from_file_location("upstream", SCRIPT)
upstream = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(upstream)
ABSENT = 7


@pytest.fixture(params=["sqlite", "slatedb"])
def golden(request, tmp_path: Path) -> str:
    """The prefix of the snapshot in one of the formats."""
    if request.param == "sqlite":
        upstream.make("sqlite", f"file://{tmp_path}", tmp_path)
    else:
        subprocess.run([str(PEERS), str(SCRIPT), "slatedb", f"file://{tmp_path}", str(tmp_path)], check=True)
    return f"file://{tmp_path}"


@pytest.mark.parametrize("reader_class", [ShardedReader, ConcurrentShardedReader])
def test_readers_find_every_value_of_the_golden_snapshot(golden: str, reader_class, tmp_path: Path):
    with reader_class(s3_prefix=golden, local_root=str(tmp_path / "local")) as reader:
        for key, value in upstream.PAIRS.items():
            assert reader.get(key) == value
            assert reader.route_key(key) == upstream.DIGESTS[key] % upstream.NUM_DBS
        assert reader.get(ABSENT) is None
        assert reader.multi_get([*upstream.PAIRS, ABSENT]) == {**upstream.PAIRS, ABSENT: None}
        info = reader.snapshot_info()
        assert (info.run_id, info.num_dbs, info.row_count) == (upstream.RUN_ID, upstream.NUM_DBS, len(upstream.PAIRS))
        assert info.created_at == upstream.PUBLISHED


def test_the_async_reader_finds_every_value_of_the_golden_snapshot(golden: str, tmp_path: Path):
    async def read() -> dict:
        async with await AsyncShardedReader.open(s3_prefix=golden, local_root=str(tmp_path / "local")) as reader:
            assert [await reader.get(key) for key in upstream.PAIRS] == list(upstream.PAIRS.values())
            return await reader.multi_get([*upstream.PAIRS, ABSENT])

    assert asyncio.run(read()) == {**upstream.PAIRS, ABSENT: None}


def test_reading_leaves_no_trace_in_the_snapshot(golden: str, tmp_path: Path):
    root = Path(golden.removeprefix("file://"))
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file())
    with ConcurrentShardedReader(s3_prefix=golden, local_root=str(tmp_path / "local")) as reader:
        assert reader.get(0) == upstream.PAIRS[0]
        reader.refresh()
    after = sorted((path, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file() and "local" not in path.parts)
    assert after == before


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)


def published(root: Path) -> Path:
    """The manifest's file; the pointer leads to it."""
    ref = json.loads((root / "_CURRENT").read_text())["manifest_ref"]
    assert ref.startswith(f"file://{root}/")
    return Path(ref.removeprefix("file://"))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """The golden snapshot, and ours of the same pairs."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    upstream.make("sqlite", f"file://{theirs}", theirs)
    config = HashShardedWriteConfig(num_dbs=upstream.NUM_DBS, s3_prefix=f"file://{ours}", adapter_factory=SqliteFactory(emit_sidecar=False),
                                    output=WriterOutputConfig(run_id=upstream.RUN_ID, local_root=str(tmp_path / "local")))
    write_hash_sharded(list(upstream.PAIRS.items()), config, PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1]))
    return theirs, ours


def test_our_pointer_is_spelled_like_theirs(pair: tuple[Path, Path]):
    texts = [(root / "_CURRENT").read_text() for root in pair]
    shapes = [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "TIME", text).replace(str(root), "ROOT") for root, text in zip(pair, texts)]
    assert shapes[0] == shapes[1]
    names = [published(root).relative_to(root) for root in pair]
    for name in names:
        assert re.fullmatch(rf"manifests/\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}Z_run_id={upstream.RUN_ID}/manifest", str(name))


def test_our_manifest_has_their_tables_texts_and_types(pair: tuple[Path, Path]):
    theirs, ours = (opened(published(root)) for root in pair)

    def schema(manifest: sqlite3.Connection) -> dict[str, str]:
        return {name: re.sub(r"\s+", " ", sql) for name, sql in manifest.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")}

    assert schema(theirs).items() <= schema(ours).items()
    for pragma in ("page_size", "user_version", "application_id", "encoding"):
        assert theirs.execute(f"PRAGMA {pragma}").fetchone() == ours.execute(f"PRAGMA {pragma}").fetchone()
    columns = "run_id, num_dbs, key_col, db_path_template, shard_prefix, format_version, key_encoding, typeof(created_at), typeof(custom)"
    assert theirs.execute(f"SELECT {columns} FROM build_meta").fetchall() == ours.execute(f"SELECT {columns} FROM build_meta").fetchall()
    [sharding] = {frozenset(json.loads(manifest.execute("SELECT sharding FROM build_meta").fetchone()[0]).items()) for manifest in (theirs, ours)}
    assert dict(sharding)["strategy"] == "hash"
    columns = "db_id, attempt, row_count, min_key, max_key, length(checkpoint_id), typeof(db_bytes), typeof(writer_info)"
    assert theirs.execute(f"SELECT {columns} FROM shards").fetchall() == ours.execute(f"SELECT {columns} FROM shards").fetchall()
    assert set(json.loads(ours.execute("SELECT writer_info FROM shards").fetchone()[0])) == {"attempt", "duration_ms", "stage_id", "task_attempt_id"}
    urls = [[url.removeprefix(f"file://{root}/") for (url,) in manifest.execute("SELECT db_url FROM shards ORDER BY db_id")]
            for root, manifest in zip(pair, (theirs, ours))]
    assert urls[0] == urls[1]


def test_our_shards_are_what_plain_sqlite_reads(pair: tuple[Path, Path]):
    for db_id, expected in upstream.shard_pairs().items():
        theirs, ours = (opened(root / f"shards/run_id={upstream.RUN_ID}/db={db_id:05d}/attempt=00/shard.db") for root in pair)
        assert theirs.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall() == \
            ours.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
        assert ours.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert theirs.execute("SELECT k, v FROM kv").fetchall() == ours.execute("SELECT k, v FROM kv").fetchall()
        assert ours.execute("SELECT v FROM kv WHERE k = ?", (min(expected).to_bytes(8, "big"),)).fetchone() == (expected[min(expected)],)
        for pragma in ("journal_mode", "page_size", "encoding", "user_version"):
            assert theirs.execute(f"PRAGMA {pragma}").fetchone() == ours.execute(f"PRAGMA {pragma}").fetchone(), pragma
