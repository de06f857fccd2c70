"""A million pairs in eight hash shards, in a directory and in a bucket, from an iterable and from Arrow; every value is read back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))
pytest.importorskip("numpy")
import pyarrow as pa  # noqa: E402
import s3_server  # noqa: E402
from shardyfusion import (  # noqa: E402
    AsyncShardedReader, ColumnWriteInput, ConcurrentShardedReader, HashShardedWriteConfig, PythonRecordInput, ShardedReader, SlateDbFactory,
    ValueSpec, WriterOutputConfig)
from shardyfusion.sqlite_adapter import SqliteFactory  # noqa: E402
from shardyfusion.writer.python import write_hash_sharded  # noqa: E402
from shards_data import arrow_batch, pairs  # noqa: E402

STEP = 100_000
FACTORIES = {"sqlite": SqliteFactory(emit_sidecar=False), "slatedb": SlateDbFactory()}


@pytest.fixture(scope="module")
def server():
    with s3_server.running(s3_server.Options(keep_alive=True)) as running:
        yield running


@pytest.fixture(params=["directory", "bucket"])
def prefix(request, tmp_path: Path, monkeypatch) -> str:
    if request.param == "directory":
        return f"file://{tmp_path}/snapshot"
    server = request.getfixturevalue("server")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return f"s3://{server.variables['DATASHARD_S3_BUCKET']}/{tmp_path.name}"


def write(prefix: str, shard_format: str, source: str, rows: int, local: Path):
    config = HashShardedWriteConfig(num_dbs=8, s3_prefix=prefix, adapter_factory=FACTORIES[shard_format],
                                    output=WriterOutputConfig(local_root=str(local)))
    if source == "arrow":
        table = pa.Table.from_batches([arrow_batch(first, min(STEP, rows - first)) for first in range(0, rows, STEP)])
        return write_hash_sharded(table, config, ColumnWriteInput(key_col="key", value_spec=ValueSpec.binary_col("value")))
    records = (pair for first in range(0, rows, STEP) for pair in pairs(first, min(STEP, rows - first)))
    return write_hash_sharded(records, config, PythonRecordInput(key_fn=lambda pair: pair[0], value_fn=lambda pair: pair[1]))


async def read_async(prefix: str, local: Path, rows: int) -> None:
    async with await AsyncShardedReader.open(s3_prefix=prefix, local_root=str(local)) as reader:
        for first in range(0, rows, STEP):
            expected = dict(pairs(first, min(STEP, rows - first)))
            assert await reader.multi_get(list(expected)) == expected
        for key, value in pairs(0, 1_000):
            assert await reader.get(key) == value


@pytest.mark.parametrize("rows", [40_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
@pytest.mark.parametrize("source", ["arrow", "iterable"])
@pytest.mark.parametrize("shard_format", list(FACTORIES))
def test_every_value_is_read_back_by_every_reader(prefix: str, shard_format: str, source: str, rows: int, tmp_path: Path):
    result = write(prefix, shard_format, source, rows, tmp_path / "local")
    assert result.stats.rows_written == rows and len(result.winners) == 8
    assert not [path for path in (tmp_path / "local").rglob("*") if path.is_file()], "local files are gone"
    for reader_class in (ShardedReader, ConcurrentShardedReader):
        with reader_class(s3_prefix=prefix, local_root=str(tmp_path / "read")) as reader:
            for first in range(0, rows, STEP):
                expected = dict(pairs(first, min(STEP, rows - first)))
                assert reader.multi_get(list(expected)) == expected
                for key in list(expected)[:: len(expected) // 500]:
                    assert reader.get(key) == expected[key]
            assert all(reader.get(key) is None for key in range(1_000))
    asyncio.run(read_async(prefix, tmp_path / "read", rows))
