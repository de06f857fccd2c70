"""The writer for rows of this process: iterables, Arrow, pandas, Polars."""

from __future__ import annotations

from .writer import write_cel_sharded, write_hash_sharded, write_sharded, write_single_db

__all__ = ["write_cel_sharded", "write_hash_sharded", "write_sharded", "write_single_db"]
