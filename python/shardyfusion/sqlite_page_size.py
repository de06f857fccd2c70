"""Which page size suits values of a given size in a SQLite table without row ids."""

from __future__ import annotations

from typing import NamedTuple

PAGE_SIZES = (4096, 8192, 16384, 32768, 65536)


class CellShape(NamedTuple):
    """A cell of the tree: key and value with what the record needs, and the longest key."""

    payload_bytes: int
    max_key_bytes: int


def inline_payload_threshold(page_size: int) -> int:
    """Bytes of a payload that a page of an index tree holds; more goes to overflow pages. Source: SQLite's file format, 1.6."""
    return (page_size - 12) * 64 // 255 - 23


def recommend_page_size(*, p95_value_bytes: int, max_key_bytes: int = 64) -> int:
    """The smallest page that holds 95 of 100 rows without overflow pages; the largest where none does."""
    payload = p95_value_bytes + max_key_bytes + 12
    return next((size for size in PAGE_SIZES if inline_payload_threshold(size) >= payload), PAGE_SIZES[-1])


def recommend_page_size_for_cells(cells: list[CellShape]) -> int:
    """recommend_page_size for cells that were looked at."""
    if not cells:
        return PAGE_SIZES[0]
    payloads = sorted(cell.payload_bytes for cell in cells)
    p95 = payloads[min(len(payloads) - 1, len(payloads) * 95 // 100)]
    return next((size for size in PAGE_SIZES if inline_payload_threshold(size) >= p95), PAGE_SIZES[-1])
