"""Where manifests are published and found: in a bucket or directory, or in memory.

Publishing stores the manifest, then moves the pointer: a reader sees the snapshot before or this one, never a mixture.
"""

from __future__ import annotations

import json
import re
import threading
from datetime import datetime, timezone
from typing import Any, Protocol, runtime_checkable

from pydantic import ValidationError

from ._manifest_file import SqliteShardLookup, load_sqlite_build_meta, read_manifest
from .errors import ConfigValidationError, ManifestParseError, PublishCurrentError, PublishManifestError, ReaderStateError
from .manifest import (CURRENT_FORMAT_VERSION, SQLITE_MANIFEST_CONTENT_TYPE, CurrentPointer, ManifestRef, ParsedManifest,
                       RequiredBuildMeta, RequiredShardMeta, SqliteManifestBuilder, moment_text)
from .storage import StorageBackend, join_s3

__all__ = ["InMemoryManifestStore", "ManifestStore", "S3ManifestStore", "SqliteShardLookup", "load_sqlite_build_meta",
           "parse_current_pointer_to_ref", "parse_manifest_dir_entry", "parse_manifest_payload", "parse_sqlite_manifest"]

_MANIFEST_DIRECTORY = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z)_run_id=([^/]+)/?")


@runtime_checkable
class ManifestStore(Protocol):
    """`publish` gives the reference that the others take. Errors: PublishManifestError (nothing is published),
    PublishCurrentError (the manifest is stored, the pointer is not moved), ManifestParseError, ReaderStateError (no such manifest).
    """

    def publish(self, *, run_id: str, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta],
                custom: dict[str, Any]) -> str: ...
    def load_current(self) -> ManifestRef | None:
        """None where nothing was published yet."""
    def load_manifest(self, ref: str) -> ParsedManifest: ...
    def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        """The newest `limit`, newest first."""
        ...
    def set_current(self, ref: str) -> None: ...


def parse_manifest_payload(payload: bytes) -> ParsedManifest:
    """A manifest's bytes. Raises: ManifestParseError for damaged ones and unknown versions."""
    return read_manifest(bytes(payload))


def parse_sqlite_manifest(payload: bytes) -> ParsedManifest:
    """parse_manifest_payload; all manifests are SQLite files."""
    return read_manifest(bytes(payload))


def parse_current_pointer_to_ref(payload: bytes) -> ManifestRef:
    """The manifest that `_CURRENT` points to. Raises: ManifestParseError."""
    try:
        pointer = CurrentPointer.model_validate(json.loads(payload))
    except (ValueError, ValidationError, RecursionError) as error:
        raise ManifestParseError(f"the current pointer is damaged: {error}; it holds {bytes(payload[:100])!r}") from error
    if pointer.format_version != CURRENT_FORMAT_VERSION:
        raise ManifestParseError(f"the current pointer has format_version {pointer.format_version}, "
                                 f"this release reads {CURRENT_FORMAT_VERSION}")
    return ManifestRef(pointer.manifest_ref, pointer.run_id, pointer.updated_at)


def parse_manifest_dir_entry(dir_name: str, s3_prefix: str, manifest_name: str) -> ManifestRef | None:
    """The manifest in a directory right below `manifests/`; None for a directory that is none of ours."""
    found = _MANIFEST_DIRECTORY.fullmatch(dir_name)
    if found is None:
        return None
    try:
        published_at = datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    return ManifestRef(join_s3(s3_prefix, "manifests", dir_name, manifest_name), found[2], published_at)


class Layout:
    """Where a bucket's or directory's store has its files, and what they say; all but the requests."""

    def __init__(self, s3_prefix: str, manifest_name: str, current_pointer_key: str) -> None:
        self.s3_prefix = s3_prefix.rstrip("/")
        self.manifest_name = manifest_name
        self.current_url = join_s3(s3_prefix, current_pointer_key)
        self.manifests_url = join_s3(s3_prefix, "manifests") + "/"

    def new_manifest_url(self, run_id: str) -> str:
        if not run_id or "/" in run_id:
            raise ConfigValidationError(f"run_id is a name without '/', given {run_id!r}")
        return join_s3(self.manifests_url, f"{moment_text(datetime.now(timezone.utc))}_run_id={run_id}", self.manifest_name)

    def pointer_to(self, ref: str, content_type: str) -> bytes:
        run_id = re.search(r"run_id=([^/]+)", ref)
        if run_id is None:
            raise ConfigValidationError(f"{ref!r} is no manifest of this store: there is no run_id= in it")
        return json.dumps({"format_version": CURRENT_FORMAT_VERSION, "manifest_content_type": content_type, "manifest_ref": ref,
                           "run_id": run_id[1], "updated_at": moment_text(datetime.now(timezone.utc))},
                          sort_keys=True, separators=(",", ":")).encode()

    def newest(self, directories: list[str], limit: int) -> list[ManifestRef]:
        names = (url.rstrip("/").rsplit("/", 1)[-1] for url in directories)
        refs = [ref for name in names if (ref := parse_manifest_dir_entry(name, self.s3_prefix, self.manifest_name))]
        return sorted(refs, key=lambda ref: (ref.published_at, ref.ref), reverse=True)[:max(limit, 0)]

    @staticmethod
    def current(payload: bytes | None) -> ManifestRef | None:
        return None if payload is None else parse_current_pointer_to_ref(payload)

    @staticmethod
    def manifest(ref: str, payload: bytes | None) -> ParsedManifest:
        if payload is None:
            raise ReaderStateError(f"there is no manifest at {ref}; list_manifests() names those that are there")
        return parse_manifest_payload(payload)


class S3ManifestStore:
    """Manifests and their pointer below `s3_prefix`, as docs/formats/sharded_manifest.md has it; s3:// or file://."""

    def __init__(self, backend: StorageBackend, s3_prefix: str, *, manifest_name: str = "manifest",
                 current_pointer_key: str = "_CURRENT") -> None:
        self._backend = backend
        self._layout = Layout(s3_prefix, manifest_name, current_pointer_key)

    def publish(self, *, run_id: str, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta],
                custom: dict[str, Any]) -> str:
        ref = self._layout.new_manifest_url(run_id)
        artifact = SqliteManifestBuilder().build(required_build=required_build, shards=shards, custom_fields=custom)
        try:
            self._backend.put(ref, artifact.payload, artifact.content_type, artifact.headers or None)
        except Exception as error:
            raise PublishManifestError(f"manifest {ref} could not be stored: {error}") from error
        try:
            self.set_current(ref)
        except Exception as error:
            raise PublishCurrentError(f"manifest {ref} is stored, but {self._layout.current_url} could not be moved to it: {error}",
                                      manifest_ref=ref) from error
        return ref

    def load_current(self) -> ManifestRef | None:
        return self._layout.current(self._backend.try_get(self._layout.current_url))

    def load_manifest(self, ref: str) -> ParsedManifest:
        return self._layout.manifest(ref, self._backend.try_get(ref))

    def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        return self._layout.newest(self._backend.list_prefixes(self._layout.manifests_url), limit)

    def set_current(self, ref: str, *, content_type: str = SQLITE_MANIFEST_CONTENT_TYPE) -> None:
        self._backend.put(self._layout.current_url, self._layout.pointer_to(ref, content_type), "application/json")


class InMemoryManifestStore:
    """Manifests in this object, for tests and examples. Callable from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._manifests: dict[str, tuple[ManifestRef, ParsedManifest]] = {}
        self._current: ManifestRef | None = None

    def publish(self, *, run_id: str, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta],
                custom: dict[str, Any]) -> str:
        manifest = ParsedManifest(required_build=required_build, shards=shards, custom=custom).model_copy(deep=True)
        ref = ManifestRef(f"mem://manifests/run_id={run_id}/manifest", run_id, datetime.now(timezone.utc))
        with self._lock:
            self._manifests.pop(ref.ref, None)
            self._manifests[ref.ref] = (ref, manifest)
            self._current = ref
        return ref.ref

    def load_current(self) -> ManifestRef | None:
        return self._current

    def load_manifest(self, ref: str) -> ParsedManifest:
        with self._lock:
            if ref not in self._manifests:
                raise ReaderStateError(f"there is no manifest at {ref}; list_manifests() names those that are there")
            return self._manifests[ref][1].model_copy(deep=True)

    def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        with self._lock:
            return [ref for ref, _ in reversed(self._manifests.values())][:max(limit, 0)]

    def set_current(self, ref: str) -> None:
        with self._lock:
            self._current = self._manifests[ref][0]
