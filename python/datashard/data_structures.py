"""Schemas, snapshots, files and metadata of a table, as plain records.

Except for `Schema` these are given out, not taken: changing one changes nothing in the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from .exceptions import InvalidArgument

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any


class FileFormat(Enum):
    """Formats Iceberg knows. Only Parquet is written and read."""

    PARQUET = "parquet"
    AVRO = "avro"
    ORC = "orc"


class ManifestContent(Enum):
    """What a manifest lists."""

    DATA = 0
    DELETES = 1


@dataclass
class Schema:
    """The columns of a table.

    schema_id: number of this schema.
    fields: dicts with id (from 1, unique), name (unique), type and, optionally, required (False) and doc. Types: boolean,
        int (32 bits), long, float, double, decimal(P,S), date, time, timestamp, timestamptz, string, uuid, binary,
        fixed[L]. A single ellipsis, `[...]`, leaves the columns open: the table takes those of its first records.
    schema_string: the fields as JSON.
    Raises: InvalidArgument (a ValueError) that shows the field.
    """

    schema_id: int
    fields: list[dict[str, Any]]
    schema_string: str = ""

    def __post_init__(self) -> None:
        from ._load import core

        if isinstance(self.schema_id, bool) or not isinstance(self.schema_id, int):
            raise InvalidArgument(f"Invalid schema: schema_id is {self.schema_id!r}; expected an integer of 32 bits")
        self.fields = list(self.fields)
        if self.fields == [...]:
            self.fields = []
        core.check_schema(self.schema_id, self.fields)
        if not self.schema_string:
            import json

            self.schema_string = json.dumps(self.fields)

    @classmethod
    def _of_table(cls, schema_id: int, fields: list[dict[str, Any]]) -> Schema:
        # Other engines' tables may have nested types, which are shown but could not be created here.
        import json

        schema = object.__new__(cls)
        schema.schema_id, schema.fields, schema.schema_string = schema_id, fields, json.dumps(fields)
        return schema


@dataclass
class PartitionField:
    """A column's transform that partitions a table."""

    source_id: int
    field_id: int
    name: str
    transform: str


@dataclass
class PartitionSpec:
    """How a table is partitioned; without fields, not at all."""

    spec_id: int
    fields: list[PartitionField]


@dataclass
class SortField:
    """A column's transform that sorts a table."""

    source_id: int
    field_id: int
    transform: str
    direction: str


@dataclass
class SortOrder:
    """How a table is sorted; without fields, not at all."""

    order_id: int
    fields: list[SortField]


@dataclass
class DataFile:
    """A file of rows. Maps are keyed by field id; bounds are Iceberg's single-value binary, absent where not exact.

    file_path: as given out, begins with "/data/" and is relative to the table's root all the same.
    """

    file_path: str
    file_format: FileFormat
    partition_values: dict[str, Any]
    record_count: int
    file_size_in_bytes: int
    column_sizes: dict[int, int] | None = None
    value_counts: dict[int, int] | None = None
    null_value_counts: dict[int, int] | None = None
    lower_bounds: dict[int, Any] | None = None
    upper_bounds: dict[int, Any] | None = None
    key_metadata: bytes | None = None
    checksum: str | None = None
    split_offsets: list[int] | None = None
    split_compressed_offsets: list[int] | None = None
    equality_ids: list[int] | None = None
    sort_order_id: int | None = None
    added_snapshot_id: int | None = None
    sequence_number: int | None = None


@dataclass
class DeleteFile:
    """A file of row-level deletes. Tables that have one are refused."""

    file_path: str
    file_format: FileFormat
    partition_values: dict[str, Any]
    record_count: int
    file_size_in_bytes: int
    content: ManifestContent = ManifestContent.DELETES


@dataclass
class ManifestFile:
    """One line of a manifest list. `manifest_path` is relative to the table's root."""

    manifest_path: str
    manifest_length: int
    partition_spec_id: int
    added_snapshot_id: int
    added_data_files_count: int
    existing_data_files_count: int
    deleted_data_files_count: int
    partitions: list[dict[str, Any]]
    content: ManifestContent = ManifestContent.DATA
    sequence_number: int | None = None
    min_sequence_number: int | None = None
    checksum: str | None = None
    added_rows_count: int | None = None
    existing_rows_count: int | None = None


@dataclass
class Snapshot:
    """The complete state of a table after one change. `manifest_list` is relative to the table's root."""

    snapshot_id: int
    timestamp_ms: int
    manifest_list: str
    parent_snapshot_id: int | None = None
    operation: str | None = None
    summary: dict[str, str] | None = None
    schema_id: int | None = None
    sequence_number: int | None = None


@dataclass
class HistoryEntry:
    """Which snapshot was current from when on."""

    timestamp_ms: int
    snapshot_id: int


@dataclass
class TableMetadata:
    """The newest version of a table's metadata. `current_snapshot_id` is -1 while the table is empty."""

    location: str
    table_uuid: str = ""
    format_version: int = 2
    last_sequence_number: int = 0
    last_updated_ms: int = 0
    last_column_id: int = 0
    schemas: list[Schema] = field(default_factory=list)
    current_schema_id: int = 0
    partition_specs: list[PartitionSpec] = field(default_factory=list)
    default_spec_id: int = 0
    sort_orders: list[SortOrder] = field(default_factory=list)
    default_sort_order_id: int = 0
    properties: dict[str, str] = field(default_factory=dict)
    current_snapshot_id: int | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    snapshot_log: list[HistoryEntry] = field(default_factory=list)
    metadata_log: list[dict[str, Any]] = field(default_factory=list)
    last_commit_id: str = ""
