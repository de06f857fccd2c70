"""Which shard a key belongs to; the core's functions under this package's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from . import _core
from ._failures import KeyNotAccepted, NotSupported
from .cel import UnknownRoutingTokenError, build_categorical_routing_lookup, compile_cel_cached, resolve_cel_routing_key
from .errors import ConfigValidationError
from .manifest import RequiredBuildMeta, RequiredShardMeta
from .sharding_types import KeyEncoding, KeyInput, ShardHashAlgorithm

__all__ = ["ShardLookup", "SnapshotRouter", "canonical_bytes", "hash_db_id", "hash_digest", "make_hash_router", "xxh3_db_id", "xxh3_digest"]

KeyType: TypeAlias = Literal["int", "str", "bytes"]
_TYPES: dict[str, type] = {"int": int, "str": str, "bytes": bytes}
_NUMBER_SIZES = {KeyEncoding.U64BE: 8, KeyEncoding.U32BE: 4}


class ShardLookup(Protocol):
    """Finds a shard's metadata when it is needed."""

    def get_shard(self, db_id: int) -> RequiredShardMeta: ...


def canonical_bytes(key: KeyInput) -> bytes:
    """What is hashed: of an int 8 little-endian bytes with a sign, of text its UTF-8, bytes themselves. Raises: ValueError."""
    if isinstance(key, int):
        try:
            return int(key).to_bytes(8, "little", signed=True)
        except OverflowError:
            raise ValueError(f"key {key} is out of range; -2^63 to 2^63-1 can be hashed") from None
    if isinstance(key, str):
        return key.encode()
    if isinstance(key, bytes):
        return key
    raise ValueError(f"a key is int, str or bytes; {type(key).__name__} is none")


def xxh3_digest(key: KeyInput) -> int:
    """xxh3_64 of the canonical bytes, without a sign."""
    return _core.routing_hash(key)  # type: ignore[no-any-return]


def hash_digest(key: KeyInput, algorithm: ShardHashAlgorithm | str = ShardHashAlgorithm.XXH3_64) -> int:
    ShardHashAlgorithm.from_value(algorithm)
    return xxh3_digest(key)


def hash_db_id(key: KeyInput, num_dbs: int, algorithm: ShardHashAlgorithm | str = ShardHashAlgorithm.XXH3_64) -> int:
    return hash_digest(key, algorithm) % num_dbs


def xxh3_db_id(key: KeyInput, num_dbs: int) -> int:
    return xxh3_digest(key) % num_dbs


def make_hash_router(num_dbs: int, algorithm: ShardHashAlgorithm | str = ShardHashAlgorithm.XXH3_64, *,
                     key_type: KeyType | None = None) -> Callable[[KeyInput], int]:
    """The function from a key to its shard. `key_type` makes it refuse keys of other types."""
    ShardHashAlgorithm.from_value(algorithm)
    if num_dbs < 1:
        raise ValueError(f"num_dbs is at least 1, given {num_dbs!r}")
    if key_type is None:
        return lambda key: xxh3_digest(key) % num_dbs
    wanted = _TYPES[key_type]

    def route(key: KeyInput) -> int:
        if not isinstance(key, wanted):
            raise ValueError(f"keys are {key_type}, given {key!r}")
        return xxh3_digest(key) % num_dbs

    return route


class _ForeignRule:
    """A rule whose expression the core does not compile."""

    def __init__(self, build: RequiredBuildMeta) -> None:
        sharding = build.sharding
        assert sharding.cel_expr is not None and sharding.cel_columns is not None
        self._cel = compile_cel_cached(sharding.cel_expr, tuple(sharding.cel_columns.items()))
        self._values = sharding.routing_values
        self._lookup = None if self._values is None else build_categorical_routing_lookup(self._values)
        self._num_dbs = build.num_dbs
        self.needs_context = set(sharding.cel_columns) != {"key"}

    def route(self, key: KeyInput) -> int | None:
        return self.route_context({"key": key})

    def route_context(self, context: dict[str, Any]) -> int | None:
        try:
            shard = resolve_cel_routing_key(self._cel.evaluate(context), lookup=self._lookup)
        except UnknownRoutingTokenError:
            return None
        except ConfigValidationError as error:
            raise KeyNotAccepted(str(error)) from error
        if shard >= self._num_dbs:
            raise KeyNotAccepted(f"the expression gives shard {shard}; there are {self._num_dbs}")
        return shard


def rule_of(build: RequiredBuildMeta) -> Any:
    try:
        return _core.ShardRule.make(build.sharding.model_dump(mode="python"), build.num_dbs, None)
    except NotSupported:
        return _ForeignRule(build)


class SnapshotRouter:
    """The shards of a snapshot and the way to them. Callable from several threads."""

    route_one: Callable[[KeyInput], int]
    encode_lookup_key: Callable[[KeyInput], bytes]

    def __init__(self, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta]) -> None:
        self._set_up(required_build)
        listed = {shard.db_id: shard for shard in shards}
        self.shards = [listed.get(db_id) or RequiredShardMeta.empty(db_id) for db_id in range(required_build.num_dbs)]
        self._lookup: ShardLookup | None = None

    @classmethod
    def from_build_meta(cls, required_build: RequiredBuildMeta, *, shard_lookup: ShardLookup) -> SnapshotRouter:
        """A router that asks `shard_lookup` for shards when they are needed."""
        router = cls.__new__(cls)
        router._set_up(required_build)
        router.shards = []
        router._lookup = shard_lookup
        return router

    def _set_up(self, build: RequiredBuildMeta) -> None:
        self.required_build = build
        self._rule = rule_of(build)
        self._encoding = build.key_encoding
        self.route_one = self._route_key
        self.encode_lookup_key = self._encode

    def _encode(self, key: KeyInput) -> bytes:
        return _core.stored_lookup_key(key, self._encoding.value)  # type: ignore[no-any-return]

    @property
    def is_lazy(self) -> bool:
        return self._lookup is not None

    def get_shard(self, db_id: int) -> RequiredShardMeta:
        if not 0 <= db_id < self.required_build.num_dbs:
            raise IndexError(f"shard {db_id} of {self.required_build.num_dbs}")
        return self.shards[db_id] if self._lookup is None else self._lookup.get_shard(db_id)

    def find(self, key: KeyInput, routing_context: dict[str, object] | None = None) -> int | None:
        """The shard; None where the rule does not know the key. Raises: ValueError: keys of the wrong type, a context that is needed."""
        if routing_context is not None:
            return self._rule.route_context(routing_context)  # type: ignore[no-any-return]
        if self._rule.needs_context:
            columns = ", ".join(self.required_build.sharding.cel_columns or {})
            raise KeyNotAccepted(f"this snapshot is sharded by the columns {columns}: give them as routing_context")
        size = _NUMBER_SIZES.get(self._encoding)
        if size is not None and isinstance(key, bytes):
            if len(key) != size:
                raise KeyNotAccepted(f"a stored key of {self._encoding.value} has {size} bytes, given are {len(key)}")
            key = int.from_bytes(key, "big")  # routed as the number that the writer had
        return self._rule.route(key)  # type: ignore[no-any-return]

    def _known(self, shard: int | None, what: object) -> int:
        if shard is None:
            raise UnknownRoutingTokenError(f"no shard is meant for {what!r}")
        return shard

    def _route_key(self, key: KeyInput) -> int:
        return self._known(self.find(key), key)

    def route(self, key: KeyInput, *, routing_context: dict[str, object] | None = None) -> int:
        """Raises: UnknownRoutingTokenError where the rule does not know the key; ValueError."""
        return self._known(self.find(key, routing_context), key if routing_context is None else routing_context)

    def route_with_context(self, routing_context: dict[str, object]) -> int:
        return self._known(self.find(0, routing_context), routing_context)

    def group_keys(self, keys: list[KeyInput], *, routing_context: dict[str, object] | None = None) -> dict[int, list[KeyInput]]:
        """Keys by shard, in their order."""
        groups: dict[int, list[KeyInput]] = {}
        for key in keys:
            groups.setdefault(self.route(key, routing_context=routing_context), []).append(key)
        return groups

    def group_keys_allow_missing(self, keys: list[KeyInput], *, routing_context: dict[str, object] | None = None,
                                 ) -> tuple[dict[int, list[KeyInput]], list[KeyInput]]:
        """The same, and the keys that no shard is meant for."""
        groups: dict[int, list[KeyInput]] = {}
        missing: list[KeyInput] = []
        for key in keys:
            shard = self.find(key, routing_context)
            if shard is None:
                missing.append(key)
            else:
                groups.setdefault(shard, []).append(key)
        return groups, missing
