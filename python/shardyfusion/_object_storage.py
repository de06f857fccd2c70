"""Objects of a bucket, through the core's client. The names are those of a library that earlier releases stood on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _core
from .credentials import S3Credentials, StaticCredentialProvider
from .storage import _InThreads, parse_s3_url
from .type_defs import S3ConnectionOptions


def create_s3_store(bucket: str, credentials: S3Credentials | None = None, connection_options: S3ConnectionOptions | None = None) -> Any:
    """A bucket. What is not given is asked of the environment: S3_…, then AWS_…."""
    from ._settings import s3_fields

    provider = credentials and StaticCredentialProvider(credentials.access_key_id, credentials.secret_access_key, credentials.session_token)
    return _core.Objects(f"s3://{bucket}", s3_fields(provider, connection_options))


class ObstoreBackend:
    """A StorageBackend on a bucket. `put` leaves content type and headers to the store: nothing reads them."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def put(self, url: str, payload: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        self._store.put(parse_s3_url(url)[1], bytes(payload))

    def get(self, url: str) -> bytes:
        return self._store.get(parse_s3_url(url)[1])  # type: ignore[no-any-return]

    def try_get(self, url: str) -> bytes | None:
        try:
            return self.get(url)
        except FileNotFoundError:
            return None

    def head(self, url: str) -> str | None:
        """What tells this object from others that its key led to before; None where there is no object."""
        try:
            _, size_bytes, modified = self._store.head(parse_s3_url(url)[1])
        except FileNotFoundError:
            return None
        return f"{modified:x}-{size_bytes:x}"

    def list_prefixes(self, prefix_url: str) -> list[str]:
        bucket, key = parse_s3_url(prefix_url)
        base = key.rstrip("/") + "/" if key.strip("/") else ""
        names = {found[len(base):].split("/", 1)[0] for found, _, _ in self._store.list(base) if "/" in found[len(base):]}
        return sorted(f"s3://{bucket}/{base}{name}" for name in names)

    def delete_prefix(self, prefix_url: str) -> int:
        key = parse_s3_url(prefix_url)[1].rstrip("/")
        doomed = [found for found, _, _ in self._store.list(key + "/")]
        self._store.delete(doomed)
        return len(doomed)


class AsyncObstoreBackend(_InThreads):
    """ObstoreBackend for tasks."""

    def __init__(self, store: Any) -> None:
        super().__init__(ObstoreBackend(store))

    async def head(self, url: str) -> str | None:
        import asyncio

        backend: Any = self._backend
        found: str | None = await asyncio.to_thread(backend.head, url)
        return found
