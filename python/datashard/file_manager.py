"""The files behind a table, for programs that read them by themselves.

    snapshot = table.current_snapshot()
    files = FileManager(table.table_path, table.metadata_manager)
    for manifest in files.read_manifest_list_file(os.path.join(table.table_path, snapshot.manifest_list)):
        for data_file in files.read_manifest_file(os.path.join(table.table_path, manifest.manifest_path)):
            ...  # os.path.join(table.table_path, data_file.file_path.lstrip("/"))

Paths are taken as the table gives them (relative to its root, with or without a leading slash), joined to the table's
path, absolute, or as file:// URIs.
"""

from __future__ import annotations

import os

from .data_structures import DataFile, FileFormat, ManifestContent, ManifestFile
from .exceptions import CorruptDataError, InvalidArgument, not_yet

TYPE_CHECKING = False  # true for type checkers; importing typing would cost as much as the core
if TYPE_CHECKING:
    from typing import Any, Iterable

    from .metadata_manager import MetadataManager

# Directories of a table; a path that begins with one of them behind a slash is meant from the table's root.
_ROOTED = ("/data/", "/metadata/")


class FileManager:
    """Reads the manifests of one table.

    table_path: as given to create_table or load_table.
    metadata_manager: the table's.
    storage: not looked at; earlier releases needed it.
    """

    def __init__(self, table_path: str | os.PathLike[str], metadata_manager: MetadataManager, storage: Any = None):
        self.table_path = os.fspath(table_path)
        self.metadata_manager = metadata_manager
        self._core = metadata_manager._core

    def read_manifest_list_file(self, list_path: str) -> list[ManifestFile]:
        """The manifests of a snapshot, oldest first.

        Raises: FileNotFoundError; CorruptDataError; InvalidArgument (a ValueError) for a path outside the table.
        """
        found = []
        for line in self._core.read_manifest_list(self.to_relative(list_path)):
            line["manifest_path"] = self._inside(line["manifest_path"])
            line["content"] = ManifestContent(line["content"])
            found.append(ManifestFile(**line))
        return found

    def read_manifest_file(self, manifest_path: str) -> list[DataFile]:
        """The files a manifest lists as live, in order. Raises: as read_manifest_list_file."""
        found = []
        for entry in self._core.read_manifest(self.to_relative(manifest_path)):
            entry["file_path"] = "/" + self._inside(entry["file_path"])
            entry["file_format"] = FileFormat(entry["file_format"].lower())
            found.append(DataFile(partition_values={}, **entry))
        return found

    def validate_file_exists(self, file_path: str) -> bool:
        """Is there a file of this table at `file_path`? Raises: InvalidArgument for a path outside the table."""
        return self._core.file_exists(self.to_relative(file_path))

    def validate_data_files(self, data_files: Iterable[DataFile]) -> bool:
        """Do all these files exist?"""
        return all(self.validate_file_exists(file.file_path) for file in data_files)

    def verify_integrity(self, manifest_files: Iterable[ManifestFile]) -> dict[str, Any]:
        """Reads the manifests and looks for the files they name.

        Returns: counts total_files, existing_files and valid_manifests; lists of paths missing_files, invalid_manifests and
            checksum_mismatches (always empty: pages carry their own checksums, which scans check).
        """
        report: dict[str, Any] = {"total_files": 0, "existing_files": 0, "missing_files": [], "checksum_mismatches": [],
                                  "valid_manifests": 0, "invalid_manifests": []}
        for manifest in manifest_files:
            try:
                files = self.read_manifest_file(manifest.manifest_path)
            except (CorruptDataError, FileNotFoundError):
                report["invalid_manifests"].append(manifest.manifest_path)
                continue
            report["valid_manifests"] += 1
            for file in files:
                report["total_files"] += 1
                if self.validate_file_exists(file.file_path):
                    report["existing_files"] += 1
                else:
                    report["missing_files"].append(file.file_path)
        return report

    def to_relative(self, path: str | os.PathLike[str]) -> str:
        """`path`, in any form this class takes, in the form the core takes."""
        text = os.fspath(path)
        if "://" in text or text.startswith("file:"):
            return text
        if text.startswith("/"):
            root = os.path.abspath(self.table_path)
            if text.startswith(_ROOTED) and not text.startswith(root + "/"):
                return text[1:]
            return text
        # Joined to a relative table path, or relative to the table's root: the root's own directories decide.
        prefix = os.path.join(self.table_path, "")
        if not os.path.isabs(self.table_path) and text.startswith(prefix):
            inner = text[len(prefix):]
            if ("/" + inner).startswith(_ROOTED) or not ("/" + text).startswith(_ROOTED):
                return inner
        return text

    def create_manifest_file(self, *args: Any, **kwargs: Any) -> ManifestFile:
        raise not_yet("FileManager.create_manifest_file", "append rows, and the manifest is written with the commit")

    def create_manifest_list_file(self, *args: Any, **kwargs: Any) -> str:
        raise not_yet("FileManager.create_manifest_list_file", "append rows, and the list is written with the commit")

    def cleanup_orphaned_files(self, valid_file_paths: list[str]) -> int:
        raise not_yet("FileManager.cleanup_orphaned_files", "unreferenced files do no harm")

    def _inside(self, uri: str) -> str:
        return relative_or_uri(self._core, uri)


def relative_or_uri(core: Any, uri: str) -> str:
    """`uri` relative to the table's root; as it is where it lies outside, which a foreign writer may have wanted."""
    try:
        return core.relative_path(uri)
    except InvalidArgument:
        return uri
