"""Readers of sharded snapshots."""

from __future__ import annotations

from .async_reader import AsyncShardedReader
from .concurrent_reader import ConcurrentShardedReader
from ._factories import AsyncSlateDbReaderFactory, SlateDbReaderFactory
from ._handles import AsyncShardReaderHandle, ShardReaderHandle
from ._types import ReaderHealth, ShardDetail, SnapshotInfo
from .reader import ShardedReader

__all__ = ["AsyncShardReaderHandle", "AsyncShardedReader", "AsyncSlateDbReaderFactory", "ConcurrentShardedReader", "ReaderHealth",
           "ShardDetail", "ShardReaderHandle", "ShardedReader", "SlateDbReaderFactory", "SnapshotInfo"]
