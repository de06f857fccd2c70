"""The snapshots of a table, for reading."""

from __future__ import annotations


from .exceptions import CorruptDataError, InvalidArgument, not_yet
from .metadata_manager import is_id, snapshot_from

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from datetime import datetime
    from typing import Any

    from .data_structures import HistoryEntry, Snapshot
    from .metadata_manager import MetadataManager


class SnapshotManager:
    """Finds snapshots; made by the table."""

    def __init__(self, metadata_manager: MetadataManager):
        self._metadata = metadata_manager
        self._core = metadata_manager._core

    def get_snapshot_by_id(self, snapshot_id: int) -> Snapshot | None:
        """The snapshot, or None."""
        return snapshot_from(self._core, self._core.snapshot_by_id(snapshot_id)) if is_id(snapshot_id) else None

    def get_current_snapshot(self) -> Snapshot | None:
        """The newest state; None while the table is empty."""
        return self._metadata.get_current_snapshot()

    def get_all_snapshots(self) -> list[Snapshot]:
        """Oldest first."""
        return self._metadata.get_all_snapshots()

    def get_snapshot_history(self) -> list[HistoryEntry]:
        """What was current from when on, oldest first."""
        return self._metadata.get_snapshot_history()

    def get_snapshot_as_of_time(self, timestamp_ms: int) -> Snapshot | None:
        """The newest snapshot at or before a moment, in epoch milliseconds; None before the first."""
        return snapshot_from(self._core, self._core.snapshot_as_of(clamp_ms(timestamp_ms)))

    get_snapshot_by_timestamp = get_snapshot_as_of_time
    time_travel_to = get_snapshot_by_id
    time_travel_to_timestamp = get_snapshot_as_of_time

    def list_snapshots(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Oldest first; dicts with snapshot_id, timestamp_ms, timestamp (local time), operation, summary, parent_id.

        limit: only the newest so many; None means all.
        """
        return [{
            "snapshot_id": found["snapshot_id"],
            "timestamp_ms": found["timestamp_ms"],
            "timestamp": _local_time(found),
            "operation": found["operation"],
            "summary": found["summary"],
            "parent_id": found["parent_snapshot_id"],
        } for found in self._core.snapshots(_count(limit))]

    def rollback_to(self, snapshot_id: int) -> bool:
        raise not_yet("SnapshotManager.rollback_to", "read the snapshot with scan(snapshot_id=...)")

    def delete_snapshot(self, snapshot_id: int) -> bool:
        raise not_yet("SnapshotManager.delete_snapshot", "all snapshots are kept")


def _count(limit: int | None) -> int | None:
    if limit is None or (is_id(limit) and limit >= 0):
        return limit
    raise InvalidArgument(f"limit is a number of snapshots, 0 or more, or None for all; not {limit!r}")


def _local_time(found: dict[str, Any]) -> datetime:
    from datetime import datetime

    try:
        return datetime.fromtimestamp(found["timestamp_ms"] / 1000)
    except (ValueError, OverflowError, OSError):
        raise CorruptDataError(f"snapshot {found['snapshot_id']}: timestamp-ms {found['timestamp_ms']} is no moment of the "
                               f"years 1 to 9999") from None


def clamp_ms(timestamp_ms: int | float) -> int:
    """A moment in epoch milliseconds, cut to what 64 bits hold."""
    try:
        return max(-(2**63), min(int(timestamp_ms), 2**63 - 1))
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(f"a moment is a number of milliseconds since 1970, UTC; not {timestamp_ms!r}") from None
