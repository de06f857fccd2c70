"""A million keys: built from records and from Arrow, and every value read back by each reader."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from snapshots import FORMATS, PAIRS_INPUT, Place, run

from shardyfusion import ColumnWriteInput, HashShardedWriteConfig, ValueSpec
from shardyfusion.writer.python import write_hash_sharded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
COUNT = 1_000_000


def value_of(key: int) -> bytes:
    return b"%020d" % (key * 2654435761) * 5


@pytest.mark.parametrize("source", ["records", "arrow"])
@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_every_value_of_a_million_is_read_back(place: Place, kind, source):
    keys = list(range(COUNT))
    random.Random(6).shuffle(keys)
    config = HashShardedWriteConfig(num_dbs=8, s3_prefix=place.prefix, adapter_factory=FORMATS[kind]())
    if source == "records":
        result = write_hash_sharded(((key, value_of(key)) for key in keys), config, PAIRS_INPUT)
    else:
        table = pa.table({"k": keys, "v": pa.array([value_of(key) for key in keys], pa.binary())})
        result = write_hash_sharded(table, config, ColumnWriteInput("k", ValueSpec.binary_col("v")))
    assert result.stats.rows_written == COUNT and len(result.winners) == 8
    with place.reader() as reader:
        assert not [key for key in range(COUNT) if reader.get(key) != value_of(key)]
        expected = 0
        for key, value in reader.scan():
            assert key == expected and value == value_of(key)
            expected += 1
        assert expected == COUNT
    with place.concurrent_reader() as reader:
        for first in range(0, COUNT, 10_000):
            found = reader.multi_get(range(first, first + 10_000))
            assert found == {key: value_of(key) for key in range(first, first + 10_000)}

    async def look():
        async with await place.async_reader() as reader:
            return [key for key in range(COUNT) if await reader.get(key) != value_of(key)]

    assert run(look()) == []
