"""The files behind a table, as programs that read Parquet by themselves find them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

import datashard
from datashard.file_manager import FileManager


@pytest.fixture
def table(make):
    made = make(id="long required", name="string")
    made.append_records([{"id": 1, "name": "a"}, {"id": 2, "name": None}])
    made.append_records([{"id": 3, "name": "c"}])
    return made


def files_of(manager, table):
    for manifest in manager.read_manifest_list_file(table.current_snapshot().manifest_list):
        yield from manager.read_manifest_file(manifest.manifest_path)


@pytest.mark.local_files
def test_the_reader_of_the_first_releases(table):
    manager = FileManager(table.table_path, table.metadata_manager)
    frames = []
    listed = os.path.join(table.table_path, table.current_snapshot().manifest_list)
    for manifest in manager.read_manifest_list_file(listed):
        for data_file in manager.read_manifest_file(os.path.join(table.table_path, manifest.manifest_path)):
            frames.append(pd.read_parquet(os.path.join(table.table_path, data_file.file_path.lstrip("/"))))
    assert sorted(pd.concat(frames)["id"]) == [1, 2, 3]


@pytest.mark.local_files
def test_records_of_manifests_and_files(table):
    manager = table.file_manager
    first, second = manager.read_manifest_list_file(table.current_snapshot().manifest_list)
    ids = [s["snapshot_id"] for s in table.snapshots()]
    assert [first.added_snapshot_id, second.added_snapshot_id] == ids
    assert (second.added_data_files_count, second.existing_data_files_count, second.deleted_data_files_count) == (1, 0, 0)
    assert (first.added_rows_count, second.added_rows_count, first.partitions) == (2, 1, [])
    assert first.content is datashard.ManifestContent.DATA
    assert first.manifest_length == os.path.getsize(os.path.join(table.table_path, first.manifest_path))
    [file] = manager.read_manifest_file(first.manifest_path)
    path = os.path.join(table.table_path, file.file_path.lstrip("/"))
    assert file.file_path.startswith("/data/") and os.path.getsize(path) == file.file_size_in_bytes
    assert (file.record_count, file.file_format, file.partition_values) == (2, datashard.FileFormat.PARQUET, {})
    assert file.value_counts == {1: 2, 2: 2} and file.null_value_counts == {1: 0, 2: 1}
    assert file.lower_bounds == {1: (1).to_bytes(8, "little"), 2: b"a"}
    assert file.upper_bounds == {1: (2).to_bytes(8, "little"), 2: b"a"}


@pytest.mark.parametrize("form", ["relative", "slash", "absolute", "uri", "pathlib"])
def test_forms_of_paths(table, form):
    manager = table.file_manager
    [file, *_] = files_of(manager, table)
    inner = file.file_path.lstrip("/")
    path = {"relative": inner, "slash": "/" + inner, "absolute": f"{table.table_path}/{inner}",
            "uri": f"{table.location}/{inner}", "pathlib": Path(table.table_path) / inner}[form]
    assert manager.validate_file_exists(path) is True
    assert manager.validate_file_exists(str(path) + "x") is False


@pytest.mark.local_files
def test_relative_table_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("tables/t", "data", "./metadata"):
        table = datashard.create_table(name)
        table.append_records([{"a": 1}])
        listed = os.path.join(table.table_path, table.current_snapshot().manifest_list)
        [manifest] = table.file_manager.read_manifest_list_file(listed)
        for path in (manifest.manifest_path, os.path.join(table.table_path, manifest.manifest_path)):
            [file] = table.file_manager.read_manifest_file(path)
        for path in (file.file_path, os.path.join(table.table_path, file.file_path.lstrip("/"))):
            assert table.file_manager.validate_file_exists(path), (name, path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "data/../../x", "file:///etc/passwd", "s3://bucket/x", ""])
def test_paths_outside_are_refused(table, path):
    for call in (table.file_manager.validate_file_exists, table.file_manager.read_manifest_file,
                 table.file_manager.read_manifest_list_file):
        with pytest.raises(ValueError):
            call(path)


@pytest.mark.local_files
def test_symlinks_that_lead_out_are_not_followed(table, tmp_path):
    (tmp_path / "secret").write_text("x")
    os.symlink(tmp_path / "secret", os.path.join(table.table_path, "data", "out"))
    with pytest.raises((ValueError, PermissionError)):
        table.file_manager.read_manifest_file("data/out")


def test_missing_and_wrong_files(table):
    with pytest.raises(FileNotFoundError, match="none.avro"):
        table.file_manager.read_manifest_file("metadata/m/0/none.avro")
    with pytest.raises(FileNotFoundError, match="none.avro"):
        table.file_manager.read_manifest_list_file("metadata/m/0/none.avro")
    with pytest.raises(datashard.CorruptDataError):
        table.file_manager.read_manifest_file("metadata/v1.metadata.json")


@pytest.mark.local_files
def test_validate_data_files(table):
    files = list(files_of(table.file_manager, table))
    assert table.file_manager.validate_data_files(files) is True
    os.unlink(os.path.join(table.table_path, files[0].file_path.lstrip("/")))
    assert table.file_manager.validate_data_files(files) is False


@pytest.mark.local_files
def test_verify_integrity(table):
    manifests = table.file_manager.read_manifest_list_file(table.current_snapshot().manifest_list)
    files = list(files_of(table.file_manager, table))
    assert table.file_manager.verify_integrity(manifests) == {
        "total_files": 2, "existing_files": 2, "missing_files": [], "checksum_mismatches": [], "valid_manifests": 2,
        "invalid_manifests": []}
    os.unlink(os.path.join(table.table_path, files[0].file_path.lstrip("/")))
    Path(table.table_path, manifests[1].manifest_path).write_bytes(b"garbage")
    assert table.file_manager.verify_integrity(manifests) == {
        "total_files": 1, "existing_files": 0, "missing_files": [files[0].file_path], "checksum_mismatches": [],
        "valid_manifests": 1, "invalid_manifests": [manifests[1].manifest_path]}


@pytest.mark.parametrize("call", [
    lambda m: m.create_manifest_file([]), lambda m: m.create_manifest_list_file([], 1), lambda m: m.cleanup_orphaned_files([]),
])
def test_later_names_say_what_to_do(table, call):
    with pytest.raises(NotImplementedError, match="not available in this release; ."):
        call(table.file_manager)
