"""A line on the terminal that says how far a write has got. Nothing is written where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from typing import TextIO

_INTERVAL_S = 0.2


class Progress:
    def __init__(self) -> None:
        self._stream = _terminal()
        self._started = self._shown = time.monotonic()
        self._rows = 0

    def rows(self, count: int) -> None:
        """`count` rows were taken in so far."""
        self._rows = count
        if self._stream is None or time.monotonic() - self._shown < _INTERVAL_S:
            return
        self._show(f"{count:,} rows, {count / max(time.monotonic() - self._started, 1e-9):,.0f} rows/s")

    def building(self) -> None:
        if self._stream is not None:
            self._show(f"{self._rows:,} rows, building the shards")

    def finish(self) -> None:
        if self._stream is not None:
            self._show("")
            self._put("\r")

    def _show(self, text: str) -> None:
        self._shown = time.monotonic()
        self._put(f"\r{text:<60}")

    def _put(self, text: str) -> None:
        """A terminal that went away ends no write."""
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None


def _terminal() -> TextIO | None:
    try:
        return sys.stderr if sys.stderr.isatty() else None
    except (AttributeError, OSError, ValueError):  # None, closed, or replaced by something simpler
        return None
