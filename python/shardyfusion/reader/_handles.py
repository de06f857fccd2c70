"""One shard, lent by a reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

from typing_extensions import Self

from ..errors import ReaderStateError
from ..logging import FailureSeverity, get_logger, log_failure

_logger = get_logger("reader")


class _Handle:
    """Gives back what it holds once, and complains when it is forgotten."""

    def __init__(self, reader: Any, release_fn: Callable[[], None] | None = None) -> None:
        self._reader = reader
        self._release = release_fn
        self._closed = False

    def _opened(self) -> Any:
        if self._closed:
            raise ReaderStateError("the handle is closed")
        return self._reader

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._release is not None:
            self._release()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            log_failure("shard_reader_handle_not_closed", severity=FailureSeverity.ERROR, logger=_logger)
            self.close()


class ShardReaderHandle(_Handle):
    """Looks up stored keys. A context manager."""

    def get(self, key: bytes) -> bytes | None:
        value: bytes | None = self._opened().get(key)
        return value

    def multi_get(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        reader = self._opened()
        return {key: reader.get(key) for key in keys}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class AsyncShardReaderHandle(_Handle):
    """Looks up stored keys from tasks. A context manager of both kinds."""

    async def get(self, key: bytes) -> bytes | None:
        value: bytes | None = await self._opened().get(key)
        return value

    async def multi_get(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        reader = self._opened()
        return {key: await reader.get(key) for key in keys}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
