"""The reader for many threads."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from ..credentials import CredentialProvider
from ..manifest_store import ManifestStore
from ..metrics import MetricsCollector
from ..rate_limiter import RateLimiter
from ..type_defs import S3ConnectionOptions, ShardReaderFactory
from ._reader_base import BaseShardedReader

__all__ = ["ConcurrentShardedReader"]


class ConcurrentShardedReader(BaseShardedReader):
    """ShardedReader for many threads.

    Our own shards are shared without locks and copies, whatever `thread_safety` says. Shards that `reader_factory` of yours opens are
    used by one thread at a time: "lock": one of each, which threads take turns with; "pool": `max_workers` (or 4) of each, and
    PoolExhaustedError where none becomes free within `pool_checkout_timeout`.
    """

    def __init__(self, *, s3_prefix: str, local_root: str, manifest_store: ManifestStore | None = None,
                 current_pointer_key: str = "_CURRENT", reader_factory: ShardReaderFactory | None = None,
                 slate_env_file: str | None = None, credential_provider: CredentialProvider | None = None,
                 s3_connection_options: S3ConnectionOptions | None = None, thread_safety: Literal["lock", "pool"] = "lock",
                 pool_checkout_timeout: timedelta = timedelta(seconds=30.0), max_workers: int | None = None,
                 max_fallback_attempts: int = 3, metrics_collector: MetricsCollector | None = None,
                 rate_limiter: RateLimiter | None = None) -> None:
        if thread_safety not in ("lock", "pool"):
            raise ValueError(f"thread_safety is 'lock' or 'pool', given {thread_safety!r}")
        timeout_s = pool_checkout_timeout.total_seconds() if isinstance(pool_checkout_timeout, timedelta) else pool_checkout_timeout
        if not timeout_s > 0:
            raise ValueError(f"pool_checkout_timeout is above 0, given {pool_checkout_timeout!r}")
        foreign = {"copies": 1} if thread_safety == "lock" else {"copies": max_workers or 4, "timeout_s": timeout_s}
        self._open_reader(factory=reader_factory, foreign=foreign, s3_prefix=s3_prefix, local_root=local_root,
                          manifest_store=manifest_store, current_pointer_key=current_pointer_key, slate_env_file=slate_env_file,
                          credential_provider=credential_provider, s3_connection_options=s3_connection_options, max_workers=max_workers,
                          max_fallback_attempts=max_fallback_attempts, metrics_collector=metrics_collector, rate_limiter=rate_limiter)
