"""Comparing keys and boundaries of unknown type."""

from __future__ import annotations


def compare_ordered(left: object, right: object, *, mismatch_message: str) -> int:
    """-1, 0 or 1. Numbers compare with numbers, text with text, bytes with bytes.

    Raises: ValueError(mismatch_message) for anything else.
    """
    if not any(isinstance(left, kind) and isinstance(right, kind) for kind in ((int, float), str, (bytes, bytearray))):
        raise ValueError(mismatch_message)
    return int(left > right) - int(left < right)  # type: ignore[operator]
