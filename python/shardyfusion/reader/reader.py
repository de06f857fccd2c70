"""The reader for one thread at a time; with our own shards it may be shared all the same."""

from __future__ import annotations

from ..credentials import CredentialProvider
from ..manifest_store import ManifestStore
from ..metrics import MetricsCollector
from ..rate_limiter import RateLimiter
from ..type_defs import S3ConnectionOptions, ShardReaderFactory
from ._factories import SlateDbReaderFactory
from ._handles import ShardReaderHandle
from ._reader_base import BaseShardedReader
from ._types import ReaderHealth, ShardDetail, SnapshotInfo

__all__ = ["ReaderHealth", "ShardDetail", "ShardReaderHandle", "ShardedReader", "SlateDbReaderFactory", "SnapshotInfo"]


class ShardedReader(BaseShardedReader):
    """Looks keys up in the current snapshot below `s3_prefix` (s3://…, file://…).

    local_root: where downloaded shards are kept. manifest_store: where manifests are, if not beside the shards. reader_factory: opens
    shards; None: in the format that they have. max_workers: threads of multi_get. max_fallback_attempts: older manifests that are tried
    at the start when the current one is damaged or missing; 0: none.
    Raises: ReaderStateError: nothing was published, or nothing readable; ValueError for wrong options.
    """

    def __init__(self, *, s3_prefix: str, local_root: str, manifest_store: ManifestStore | None = None,
                 current_pointer_key: str = "_CURRENT", reader_factory: ShardReaderFactory | None = None,
                 slate_env_file: str | None = None, credential_provider: CredentialProvider | None = None,
                 s3_connection_options: S3ConnectionOptions | None = None, max_workers: int | None = None,
                 max_fallback_attempts: int = 3, metrics_collector: MetricsCollector | None = None,
                 rate_limiter: RateLimiter | None = None) -> None:
        self._open_reader(factory=reader_factory, foreign={"copies": 1}, s3_prefix=s3_prefix, local_root=local_root,
                          manifest_store=manifest_store, current_pointer_key=current_pointer_key, slate_env_file=slate_env_file,
                          credential_provider=credential_provider, s3_connection_options=s3_connection_options, max_workers=max_workers,
                          max_fallback_attempts=max_fallback_attempts, metrics_collector=metrics_collector, rate_limiter=rate_limiter)
