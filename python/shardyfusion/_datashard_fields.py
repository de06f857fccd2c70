"""`custom.datashard`: what our manifests say beyond those of other writers. Source: docs/formats/sharded_manifest.md."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .errors import ManifestParseError, ShardAssignmentError
from .sharding_types import Boundary, KeyInput, validate_boundaries

NAME = "datashard"
VERSION = 1
DERIVED = ("key_bounds", "routing_values_base64")
"""Members that follow from the rest of a manifest, and are made anew whenever one is written."""

_KINDS: dict[str, type] = {"int": int, "double": float, "string": str}


class ObjectCheck(NamedTuple):
    """Checksum (16 hexadecimal digits) and size of one object of a shard."""

    xxh3_64: str
    size_bytes: int


@dataclass(frozen=True)
class RangeBoundaries:
    kind: str
    """"int", "double" or "string"."""
    values: list[Boundary]


@dataclass(frozen=True)
class DatashardFields:
    """By db_id where a shard is meant; empty or None where the manifest does not say."""

    objects: dict[int, dict[str, ObjectCheck]] = field(default_factory=dict)
    key_bounds: dict[int, dict[str, KeyInput]] = field(default_factory=dict)
    routing_values: list[bytes] | None = None
    range_boundaries: RangeBoundaries | None = None
    shard_format: str | None = None
    """"sqlite" or "slatedb"."""

    @classmethod
    def parse(cls, custom: dict[str, Any]) -> DatashardFields:
        """Raises: ManifestParseError for another version and for members of the wrong shape."""
        if NAME not in custom:
            return cls()
        ours = custom[NAME]
        if not isinstance(ours, dict) or type(ours.get("version")) is not int:
            raise ManifestParseError("custom.datashard is no object with a version")
        if ours["version"] != VERSION:
            raise ManifestParseError(f"custom.datashard is of version {ours['version']}, this release reads version {VERSION}; upgrade")
        try:
            return cls(objects=_objects(ours.get("objects")), key_bounds=_key_bounds(ours.get("key_bounds")),
                       routing_values=_routing_values(ours.get("routing_values_base64")),
                       range_boundaries=_range_boundaries(ours.get("range_boundaries")),
                       shard_format=_text(ours.get("shard_format")))
        except (ValueError, TypeError, AttributeError, KeyError, OverflowError, ShardAssignmentError) as error:
            raise ManifestParseError(f"custom.datashard: {error}") from error


def exact_key(key: str | bytes) -> list[str]:
    """How key_bounds holds a key."""
    return ["bytes", _base64(key)] if isinstance(key, bytes) else ["str", _base64(key.encode())]


def routing_values_in_base64(values: list[bytes]) -> list[str]:
    return [_base64(value) for value in values]


def range_boundaries_member(boundaries: list[Boundary]) -> dict[str, Any]:
    """The member `range_boundaries` of checked boundaries."""
    kind = next((name for name, of in _KINDS.items() if boundaries and type(boundaries[0]) is of), "int")
    return {"kind": kind, "values": list(boundaries)}


def _text(member: Any) -> str | None:
    if not isinstance(member, (str, type(None))):
        raise ValueError(f"{member!r} is no text")
    return member


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes_of(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError) as error:
        raise ValueError(f"{text!r} is no base64: {error}") from error


def _db_id(text: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text):
        raise ValueError(f"{text!r} is no shard's number")
    return int(text)


def _objects(member: Any) -> dict[int, dict[str, ObjectCheck]]:
    if member is None or member["algorithm"] != "xxh3_64":
        return {}
    return {_db_id(db_id): {name: _object_check(name, *check) for name, check in objects.items()}
            for db_id, objects in member["shards"].items()}


def _object_check(name: str, digits: Any, size_bytes: Any) -> ObjectCheck:
    if not re.fullmatch(r"[0-9a-f]{16}", digits) or type(size_bytes) is not int or size_bytes < 0:
        raise ValueError(f"object {name!r} has [{digits!r}, {size_bytes!r}] for a checksum and a size")
    return ObjectCheck(digits, size_bytes)


def _key_bounds(member: Any) -> dict[int, dict[str, KeyInput]]:
    if member is None:
        return {}
    return {_db_id(db_id): {end: _key(*bound) for end, bound in bounds.items() if end in ("min", "max")}
            for db_id, bounds in member.items()}


def _key(kind: Any, text: Any) -> KeyInput:
    if kind not in ("bytes", "str"):
        raise ValueError(f"a key bound is of kind {kind!r}, neither 'bytes' nor 'str'")
    return _bytes_of(text) if kind == "bytes" else _bytes_of(text).decode()


def _routing_values(member: Any) -> list[bytes] | None:
    if member is None:
        return None
    if not isinstance(member, list):
        raise ValueError("routing_values_base64 is no list")
    return [_bytes_of(text) for text in member]


def _range_boundaries(member: Any) -> RangeBoundaries | None:
    if member is None:
        return None
    kind, values = member["kind"], member["values"]
    if kind not in _KINDS or not isinstance(values, list):
        raise ValueError(f"range_boundaries are of kind {kind!r}, or no list")
    if kind == "double":
        values = [float(value) if type(value) is int else value for value in values]
    if any(type(value) is not _KINDS[kind] for value in values):
        raise ValueError(f"not all range_boundaries are {kind}")
    validate_boundaries(values)
    return RangeBoundaries(kind, values)
