"""Manifest stores as readers in tasks see them: to look, not to publish."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .manifest import ManifestRef, ParsedManifest
from .manifest_store import Layout
from .storage import AsyncStorageBackend


@runtime_checkable
class AsyncManifestStore(Protocol):
    """The reading half of ManifestStore; its errors too."""

    async def load_current(self) -> ManifestRef | None: ...
    async def load_manifest(self, ref: str) -> ParsedManifest: ...
    async def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]: ...


class AsyncS3ManifestStore:
    """S3ManifestStore for tasks."""

    def __init__(self, backend: AsyncStorageBackend, s3_prefix: str, *, manifest_name: str = "manifest",
                 current_pointer_key: str = "_CURRENT") -> None:
        self._backend = backend
        self._layout = Layout(s3_prefix, manifest_name, current_pointer_key)

    async def load_current(self) -> ManifestRef | None:
        return self._layout.current(await self._backend.try_get(self._layout.current_url))

    async def load_manifest(self, ref: str) -> ParsedManifest:
        return self._layout.manifest(ref, await self._backend.try_get(ref))

    async def list_manifests(self, *, limit: int = 10) -> list[ManifestRef]:
        return self._layout.newest(await self._backend.list_prefixes(self._layout.manifests_url), limit)
