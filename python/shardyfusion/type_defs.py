"""What users bring along: shard databases, their factories, connection options. Protocols, so nothing has to be inherited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict, runtime_checkable

from .errors import ConfigValidationError
from .sharding_types import KeyInput

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "AsyncShardReader", "AsyncShardReaderFactory", "BuildMeta", "DbAdapter", "DbAdapterFactory", "JsonObject", "JsonValue",
    "KeyInput", "Manifest", "RetryConfig", "S3ConnectionOptions", "ShardReader", "ShardReaderFactory", "ShardSizeMeta",
]

JsonValue: TypeAlias = None | bool | int | float | str | list[Any] | dict[str, Any]
JsonObject: TypeAlias = dict[str, Any]


class S3ConnectionOptions(TypedDict, total=False):
    """Where a bucket is and how to talk to it. Times are seconds; `max_attempts` counts all tries, not only the repeated ones."""

    endpoint_url: str
    region_name: str
    addressing_style: str  # "virtual", "path", "auto"
    signature_version: str
    verify_ssl: bool | str  # or the path of a file of certificates
    connect_timeout: int
    read_timeout: int
    max_attempts: int


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """A failed shard is written again up to `max_retries` times; each wait is `backoff_multiplier` times the one before."""

    max_retries: int = 3
    initial_backoff: timedelta = timedelta(seconds=1.0)
    backoff_multiplier: float = 2.0

    def __post_init__(self) -> None:
        if type(self.max_retries) is not int or self.max_retries < 0:
            raise ConfigValidationError(f"max_retries is a number of 0 or more, given {self.max_retries!r}")
        if not isinstance(self.initial_backoff, timedelta) or self.initial_backoff < timedelta(0):
            raise ConfigValidationError(f"initial_backoff is a timedelta of 0 or more, given {self.initial_backoff!r}")
        multiplier = self.backoff_multiplier
        if not isinstance(multiplier, (int, float)) or not 1 <= multiplier < float("inf"):
            raise ConfigValidationError(f"backoff_multiplier is a number of at least 1, given {multiplier!r}")

    def backoff_s(self, attempt: int) -> float:
        """Seconds to wait after the failure of `attempt`, which count from 0."""
        return self.initial_backoff.total_seconds() * self.backoff_multiplier**attempt


class ShardSizeMeta(Protocol):
    """What a factory may ask about a shard before it opens it."""

    @property
    def db_url(self) -> str | None: ...
    @property
    def db_bytes(self) -> int: ...


class BuildMeta(Protocol):
    @property
    def run_id(self) -> str: ...


class Manifest(Protocol):
    """The part of a manifest that reader factories see."""

    @property
    def required_build(self) -> BuildMeta: ...
    @property
    def shards(self) -> Any: ...


@runtime_checkable
class ShardReader(Protocol):
    """One open shard database."""

    def get(self, key: bytes) -> bytes | None: ...
    def close(self) -> None: ...


class ShardReaderFactory(Protocol):
    """Opens shard databases. May offer `open_many([(db_url, manifest)])`; has to be picklable where processes are used."""

    def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None, manifest: Manifest) -> ShardReader: ...


@runtime_checkable
class AsyncShardReader(Protocol):
    async def get(self, key: bytes) -> bytes | None: ...
    async def close(self) -> None: ...


class AsyncShardReaderFactory(Protocol):
    async def __call__(self, *, db_url: str, local_dir: Path, checkpoint_id: str | None,
                       manifest: Manifest) -> AsyncShardReader: ...


@runtime_checkable
class DbAdapter(Protocol):
    """One shard database being written: batches, flush, seal, then `db_bytes`; leaving the context closes it."""

    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
    def write_batch(self, pairs: Iterable[tuple[bytes, bytes]]) -> None: ...
    def flush(self) -> None: ...
    def seal(self) -> None: ...
    def db_bytes(self) -> int: ...
    def close(self) -> None: ...


class DbAdapterFactory(Protocol):
    """Makes writers of shard databases; has to be picklable where processes are used."""

    def __call__(self, *, db_url: str, local_dir: Path) -> DbAdapter: ...
