"""ACID tables on a plain directory, in Apache Iceberg's format, for any number of writing processes.

    from datashard import create_table

    table = create_table("events")
    table.append_records([{"user": 1, "event": "login"}])
    table.scan(filter={"user": 1})

Importing this package does not import pyarrow, pandas or numpy; what needs them imports them.
"""

from __future__ import annotations


from . import _load  # noqa: F401  (a broken installation is reported here, not at the first call)
from ._version import __author__, __version__

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from .data_structures import (DataFile, DeleteFile, FileFormat, HistoryEntry, ManifestContent, ManifestFile,
                                  PartitionField, PartitionSpec, Schema, Snapshot, SortField, SortOrder, TableMetadata)
    from .exceptions import *  # noqa: F403
    from .filters import FilterExpression, FilterOp, parse_filter_dict
    from .iceberg import Table, create_table, load_table, migrate_table
    from .metadata_manager import MetadataManager
    from .snapshot_manager import SnapshotManager
    from .transaction import Transaction, TransactionManager

# Where each public name lives; it is loaded when first asked for.
_HOME = {
    "data_structures": ("DataFile", "DeleteFile", "FileFormat", "HistoryEntry", "ManifestContent", "ManifestFile",
                        "PartitionField", "PartitionSpec", "Schema", "Snapshot", "SortField", "SortOrder", "TableMetadata"),
    "exceptions": ("DataShardError", "InvalidArgument", "NotFound", "AlreadyExists", "Conflict", "CommitUnknown",
                   "Unavailable", "Denied", "Fenced", "Corruption", "Unsupported", "InternalError",
                   "ConcurrentModificationException", "AmbiguousCommitError", "AmbiguousMetadataError",
                   "CorruptDataError", "LegacyLayoutError", "TableExistsError", "SchemaMismatchError",
                   "GarbageCollectionAborted"),
    "filters": ("FilterExpression", "FilterOp", "parse_filter_dict"),
    "iceberg": ("Table", "create_table", "load_table", "migrate_table"),
    "metadata_manager": ("MetadataManager",),
    "snapshot_manager": ("SnapshotManager",),
    "transaction": ("Transaction", "TransactionManager"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_MODULES = frozenset(_HOME) | {"file_manager", "metrics"}  # reached as attributes too: datashard.file_manager.FileManager

__all__ = ["__author__", "__version__", *sorted(_MODULE_OF)]


def __getattr__(name: str):
    module = _MODULE_OF.get(name)
    if module is None and name not in _MODULES:
        raise AttributeError(f"module 'datashard' has no attribute '{name}'")
    from importlib import import_module

    if module is None:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF, *_MODULES})
