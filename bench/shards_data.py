"""The pairs of the benchmark `shards`: 62-bit keys in no order, values of a hundred bytes that follow from their keys."""

from __future__ import annotations

import numpy as np

VALUE_BYTES = 100
KEYS_OF_ONE_SHARD = 125_000


def mixed(numbers: np.ndarray) -> np.ndarray:
    """splitmix64 of each number; native/shards_data.h does the same."""
    with np.errstate(over="ignore"):
        z = numbers.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def keys_of(first: int, count: int) -> np.ndarray:
    """Keys number first, first + 1, …: all different, below 2^62."""
    return mixed(np.arange(first, first + count, dtype=np.uint64)) >> np.uint64(2)


def values_of(keys: np.ndarray) -> np.ndarray:
    """One row of bytes for each key."""
    words = [mixed(keys + np.uint64(i)) for i in range((VALUE_BYTES + 7) // 8)]
    return np.ascontiguousarray(np.stack(words, axis=1)).view(np.uint8)[:, :VALUE_BYTES]


def pairs(first: int, count: int) -> list[tuple[int, bytes]]:
    keys = keys_of(first, count)
    values = values_of(keys).tobytes()
    return [(key, values[i * VALUE_BYTES:(i + 1) * VALUE_BYTES]) for i, key in enumerate(keys.tolist())]


def arrow_batch(first: int, count: int):
    """A record batch of `key` (int64) and `value` (binary)."""
    import pyarrow as pa

    keys = keys_of(first, count)
    values = np.ascontiguousarray(values_of(keys))
    offsets = np.arange(0, (count + 1) * VALUE_BYTES, VALUE_BYTES, dtype=np.int32)
    column = pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(values)])
    return pa.record_batch({"key": pa.array(keys.astype(np.int64)), "value": column})


def asked(rows: int, count: int, seed: int) -> list[int]:
    """`count` of the keys number 0 … rows - 1, by chance."""
    chosen = np.random.default_rng(seed).integers(0, rows, count, dtype=np.int64)
    return (mixed(chosen.astype(np.uint64)) >> np.uint64(2)).tolist()


def check_sum(values: list[bytes]) -> int:
    """What a run of lookups found, as one number."""
    return sum(int.from_bytes(value[:8], "little") for value in values) & (2**64 - 1)


def expected_sum(keys: list[int]) -> int:
    return int(np.sum(mixed(np.array(keys, dtype=np.uint64)), dtype=np.uint64))
