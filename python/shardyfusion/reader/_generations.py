"""Which manifest a reader of users' factories reads, and what is open for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from ..errors import ConfigValidationError, ManifestParseError, ReaderStateError
from ..logging import FailureSeverity, get_logger, log_event, log_failure
from ..manifest import ManifestRef, ParsedManifest, RequiredShardMeta
from ..routing import SnapshotRouter
from ..sharding_types import KeyEncoding, KeyInput
from ._types import ReaderHealth, ShardDetail

_logger = get_logger("reader")

UNREADABLE = (ManifestParseError, ReaderStateError, FileNotFoundError, KeyError)
"""What stores raise for manifests that are damaged or gone."""


class Slot(Protocol):
    """The open database of a shard, or the way to it."""

    users: int


S = TypeVar("S", bound=Slot)


def refuse_vectors(manifest: ParsedManifest) -> ParsedManifest:
    vector = manifest.custom.get("vector")
    if isinstance(vector, dict) and vector.get("unified") is not True:
        raise ConfigValidationError("this snapshot holds vectors only; its shards are no key-value databases")
    return manifest


class Generation(Generic[S]):
    """A manifest and the slots of its shards. Closed when it is retired and nobody uses it any more."""

    def __init__(self, ref: ManifestRef, manifest: ParsedManifest, make_slot: Callable[[RequiredShardMeta, ParsedManifest], S],
                 before: Generation[S] | None) -> None:
        self.ref = ref
        self.manifest = manifest
        self.router = SnapshotRouter(manifest.required_build, manifest.shards)
        self.users = 1
        self.slots: dict[int, S] = {}
        known: dict[tuple[str | None, str | None], S] = {}
        if before is not None:
            known = {(shard.db_url, shard.checkpoint_id): before.slots[shard.db_id]
                     for shard in before.manifest.shards if shard.db_id in before.slots}
        for shard in manifest.shards:
            if shard.db_url is None:
                continue
            slot = known.get((shard.db_url, shard.checkpoint_id)) or make_slot(shard, manifest)
            slot.users += 1
            self.slots[shard.db_id] = slot

    def unused_slots(self) -> list[S]:
        """Gives up the slots; those that nobody has any more."""
        given_up = list(self.slots.values())
        for slot in given_up:
            slot.users -= 1
        return [slot for slot in given_up if slot.users == 0]

    def details(self) -> list[ShardDetail]:
        return [ShardDetail(shard.db_id, shard.row_count, shard.min_key, shard.max_key, shard.db_url) for shard in self.router.shards]

    def group(self, keys: list[KeyInput], context: dict[str, object] | None) -> list[tuple[S, list[KeyInput]]]:
        """Keys by the slot they are in; keys of no shard and of empty ones are left out."""
        groups, _ = self.router.group_keys_allow_missing(keys, routing_context=context)
        return [(self.slots[db_id], members) for db_id, members in groups.items() if db_id in self.slots]


def health_of(generation: Generation[Any], is_closed: bool, threshold: timedelta | None) -> ReaderHealth:
    age = max(datetime.now(timezone.utc) - generation.ref.published_at, timedelta(0))
    status: Any = "unhealthy" if is_closed else "degraded" if threshold is not None and age > threshold else "healthy"
    return ReaderHealth(status, generation.ref.ref, age, generation.manifest.required_build.num_dbs, is_closed)


class ForeignShards(Generic[S]):
    """What the engines of users' factories have in common: how a shard is opened, and what a reader says of what it reads."""

    _factory: Callable[..., Any]
    _local_root: Path
    _generation: Generation[S]
    _closed: bool

    def _opened_shard(self, shard: RequiredShardMeta, manifest: ParsedManifest) -> Any:
        local_dir = self._local_root / f"shard={shard.db_id:05d}"
        local_dir.mkdir(parents=True, exist_ok=True)
        assert shard.db_url is not None
        return self._factory(db_url=shard.db_url, local_dir=local_dir, checkpoint_id=shard.checkpoint_id, manifest=manifest)

    def parsed_manifest(self) -> tuple[ParsedManifest, str]:
        return self._generation.manifest, self._generation.ref.ref

    def route(self, key: KeyInput, context: dict[str, object] | None) -> int:
        return self._generation.router.route(key, routing_context=context)

    def shard(self, db_id: int) -> RequiredShardMeta:
        return self._generation.router.get_shard(db_id)

    def details(self) -> list[ShardDetail]:
        return self._generation.details()

    def state(self, staleness_threshold: timedelta | None) -> ReaderHealth:
        return health_of(self._generation, self._closed, staleness_threshold)

    def encoding(self) -> KeyEncoding:
        return self._generation.manifest.required_build.key_encoding

    def scan_pairs(self, start: KeyInput | None, end: KeyInput | None) -> Any:
        raise ConfigValidationError("shards that a reader_factory of yours opens have no order to scan in; leave reader_factory out")

    def scan_pairs_of(self, prefix: str | bytes) -> Any:
        return self.scan_pairs(None, None)


def find_manifest(store: Any, max_fallback_attempts: int) -> tuple[ManifestRef, ParsedManifest]:
    """The current manifest, or the newest older one that can be read. Raises: ReaderStateError."""
    current = store.load_current()
    if current is None:
        log_failure("reader_current_not_found", severity=FailureSeverity.ERROR, logger=_logger)
        raise ReaderStateError("nothing was published here: there is no current manifest")
    try:
        return current, refuse_vectors(store.load_manifest(current.ref))
    except UNREADABLE as error:
        if max_fallback_attempts == 0:
            raise
        log_failure("reader_cold_start_fallback", severity=FailureSeverity.ERROR, error=error, logger=_logger, manifest_ref=current.ref)
        failure = error
    for ref in store.list_manifests(limit=max_fallback_attempts + 1):
        if ref.ref == current.ref:
            continue
        try:
            manifest = refuse_vectors(store.load_manifest(ref.ref))
        except UNREADABLE as error:
            log_failure("reader_fallback_skip_malformed", severity=FailureSeverity.ERROR, error=error, logger=_logger, manifest_ref=ref.ref)
            continue
        log_event("reader_fallback_succeeded", logger=_logger, manifest_ref=ref.ref)
        return ref, manifest
    raise ReaderStateError(f"manifest {current.ref} cannot be read, nor can one of {max_fallback_attempts} older ones") from failure
