"""The exceptions of sharded snapshots.

There is one class per thing a caller does about an error. `retryable` says whether the same call may succeed when it is
made again: shard retries look at nothing else.
"""

from __future__ import annotations

__all__ = [
    "ShardyfusionError", "ConfigValidationError", "ShardAssignmentError", "ShardCoverageError", "DbAdapterError",
    "BridgeTimeoutError", "ManifestBuildError", "PublishManifestError", "PublishCurrentError", "ManifestParseError",
    "ReaderStateError", "PoolExhaustedError", "ManifestStoreError", "ShardWriteError", "S3TransientError", "VectorIndexError",
    "VectorSearchError",
]


class ShardyfusionError(Exception):
    """Base of everything this package raises, but for the ValueErrors of wrong arguments."""

    retryable: bool = False


class ConfigValidationError(ShardyfusionError):
    """An option out of range, a key that its encoding cannot hold, a value of a type that no value spec takes."""


class ShardAssignmentError(ShardyfusionError):
    """A key that the sharding rule gives no shard, or shard ids that are not 0 … n-1."""


class ShardCoverageError(ShardyfusionError):
    """Results of a shard that the snapshot does not have."""


class DbAdapterError(ShardyfusionError):
    """A shard database that could not be opened, read or closed."""


class BridgeTimeoutError(ShardyfusionError):
    """A call with a time limit of its own took longer."""

    retryable = True


class ManifestBuildError(ShardyfusionError):
    """A manifest that cannot be written down."""


class PublishManifestError(ShardyfusionError):
    """The snapshot is not published; readers see the one before."""

    retryable = True


class PublishCurrentError(ShardyfusionError):
    """The manifest is stored, but the pointer to it could not be written: `manifest_ref` may be set current again."""

    retryable = True

    def __init__(self, message: str, *, manifest_ref: str | None = None) -> None:
        super().__init__(message)
        self.manifest_ref = manifest_ref

    def __reduce__(self) -> tuple[object, ...]:
        # Crosses process borders; Exception's own way would lose the keyword.
        return _publish_current_error, (str(self), self.manifest_ref)


def _publish_current_error(message: str, manifest_ref: str | None) -> PublishCurrentError:
    return PublishCurrentError(message, manifest_ref=manifest_ref)


class ManifestParseError(ShardyfusionError):
    """A pointer or manifest that is damaged, of an unknown version, or contradicts itself."""


class ReaderStateError(ShardyfusionError):
    """A reader that is closed or not open yet, or a store without a usable snapshot."""


class PoolExhaustedError(ShardyfusionError):
    """No reader of the pool became free in time."""

    retryable = True


class ManifestStoreError(ShardyfusionError):
    """The database behind a manifest store refused a statement or is away."""

    retryable = True


class ShardWriteError(ShardyfusionError):
    """A shard could not be written for a reason that may pass."""

    retryable = True


class S3TransientError(ShardyfusionError):
    """A bucket did not answer well within all tries."""

    retryable = True


class VectorIndexError(ShardyfusionError):
    """Vector search; kept for programs that catch it."""


class VectorSearchError(ShardyfusionError):
    """Vector search; kept for programs that catch it."""
