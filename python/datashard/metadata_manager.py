"""The metadata of a table, for reading."""

from __future__ import annotations

from .data_structures import (HistoryEntry, PartitionField, PartitionSpec, Schema, Snapshot, SortField, SortOrder,
                              TableMetadata)
from .exceptions import ConcurrentModificationException, not_yet
from .file_manager import relative_or_uri

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any

    from ._core import Table as CoreTable

__all__ = ["MetadataManager", "ConcurrentModificationException"]


def snapshot_from(core: CoreTable, found: dict[str, Any] | None) -> Snapshot | None:
    """A snapshot as `_core` gives it, in the shape users know."""
    if found is None:
        return None
    return Snapshot(**{**found, "manifest_list": relative_or_uri(core, found["manifest_list"])})


class MetadataManager:
    """Reads the metadata of one table; made by the table."""

    def __init__(self, core: CoreTable):
        self._core = core
        self.table_path = core.path

    def refresh(self) -> TableMetadata:
        """The newest version of the metadata."""
        import json

        # What is null there is absent.
        data = {key: value for key, value in json.loads(self._core.metadata_json()).items() if value is not None}
        return TableMetadata(
            location=data["location"],
            table_uuid=self._core.uuid(),
            format_version=data["format-version"],
            last_sequence_number=data.get("last-sequence-number", 0),
            last_updated_ms=data["last-updated-ms"],
            last_column_id=data["last-column-id"],
            schemas=[Schema._of_table(s.get("schema-id", 0), s["fields"]) for s in data.get("schemas", [])],
            current_schema_id=data.get("current-schema-id", 0),
            partition_specs=[
                PartitionSpec(spec["spec-id"], [
                    PartitionField(f["source-id"], f.get("field-id", 1000 + i), f["name"], f["transform"])
                    for i, f in enumerate(spec["fields"])]) for spec in data.get("partition-specs", [])],
            default_spec_id=data.get("default-spec-id", 0),
            sort_orders=[
                SortOrder(order["order-id"], [
                    SortField(f["source-id"], 0, f["transform"], f["direction"]) for f in order["fields"]])
                for order in data.get("sort-orders", [])],
            default_sort_order_id=data.get("default-sort-order-id", 0),
            properties=data.get("properties", {}),
            current_snapshot_id=data.get("current-snapshot-id", -1),
            snapshots=self.get_all_snapshots(),
            snapshot_log=[HistoryEntry(e["timestamp-ms"], e["snapshot-id"]) for e in data.get("snapshot-log", [])],
            metadata_log=data.get("metadata-log", []),
        )

    def get_snapshot_by_id(self, snapshot_id: int) -> Snapshot | None:
        """The snapshot, or None."""
        return snapshot_from(self._core, self._core.snapshot_by_id(snapshot_id)) if is_id(snapshot_id) else None

    def get_current_snapshot(self) -> Snapshot | None:
        """The newest state; None while the table is empty."""
        return snapshot_from(self._core, self._core.current_snapshot())

    def get_all_snapshots(self) -> list[Snapshot]:
        """Oldest first."""
        return [snapshot_from(self._core, found) for found in self._core.snapshots()]

    def get_snapshot_history(self) -> list[HistoryEntry]:
        """What was current from when on, oldest first."""
        return self.refresh().snapshot_log

    def commit(self, base_metadata: TableMetadata, new_metadata: TableMetadata) -> TableMetadata:
        raise not_yet("MetadataManager.commit", "append rows to the table, or use a transaction")

    def initialize_table(self, metadata: TableMetadata) -> TableMetadata:
        raise not_yet("MetadataManager.initialize_table", "use create_table")


def is_id(snapshot_id: Any) -> bool:
    """Could this be the id of a snapshot? Others are unknown ids, not errors."""
    return isinstance(snapshot_id, int) and -(2**63) <= snapshot_id < 2**63
