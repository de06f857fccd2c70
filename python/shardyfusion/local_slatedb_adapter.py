"""Shards in SlateDB's format that are built on this machine and then uploaded: as all our shards are."""

from __future__ import annotations

from dataclasses import dataclass

from .slatedb_adapter import DefaultSlateDbAdapter, SlateDbFactory


@dataclass(slots=True)
class LocalSlateDbFactory(SlateDbFactory):
    """The same as SlateDbFactory."""


class LocalSlateDbAdapter(DefaultSlateDbAdapter):
    """The same as DefaultSlateDbAdapter."""
