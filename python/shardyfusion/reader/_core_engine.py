"""A reader whose shards the core opens: the conversions around it that are the same for programs of threads and of tasks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from .. import _core
from .._bridges import ManifestBridge
from .._failures import NoUsableManifest
from .._moments import datetime_of
from ..cel import UnknownRoutingTokenError
from ..errors import ConfigValidationError, ReaderStateError
from ..logging import FailureSeverity, get_logger, log_event, log_failure
from ..manifest import ParsedManifest, RequiredShardMeta
from ..manifest_store import ManifestStore
from ..sharding_types import KeyEncoding, KeyInput
from ._factories import policy_of, reader_fields
from ._types import ReaderHealth, ShardDetail

_logger = get_logger("reader")
_INT64_MAX = 2**63 - 1


class CoreEngine(_core.Reader):
    """`get` comes from the core. `open_core` makes it usable."""

    _parsed: tuple[str, ParsedManifest, dict[int, RequiredShardMeta]] | None = None

    def open_core(self, *, manifest_store: ManifestStore | None, factory: Any, **options: Any) -> None:
        fields = reader_fields(factory=factory, **options)
        bridge = None if manifest_store is None else ManifestBridge(manifest_store)
        try:
            self._open(fields, bridge)
        except NoUsableManifest as error:
            log_failure("reader_cold_start_fallback", severity=FailureSeverity.ERROR, error=error, logger=_logger)
            raise
        except ReaderStateError as error:
            log_failure("reader_current_not_found", severity=FailureSeverity.ERROR, error=error, logger=_logger)
            raise
        self._tell_of_fallback()
        policy = policy_of(factory)
        if policy is not None:
            # Shards are opened when first needed, so that nothing was opened in the wrong mode.
            sizes = [shard.db_bytes for shard in self.parsed_manifest()[0].shards if shard.db_url is not None]
            mode = policy.decide(sizes)
            if mode not in ("download", "range"):
                raise ConfigValidationError(f"a policy decides for 'download' or 'range', not for {mode!r}")
            self._open({**fields, "sqlite_mode": mode}, bridge)
            self._parsed = None

    def _tell_of_fallback(self) -> None:
        skipped = self._skipped()
        for index, (ref, problem) in enumerate(skipped):
            event = "reader_fallback_skip_malformed" if index else "reader_cold_start_fallback"
            log_failure(event, severity=FailureSeverity.ERROR, logger=_logger, manifest_ref=ref, problem=problem)
        if skipped:
            log_event("reader_fallback_succeeded", logger=_logger, manifest_ref=self._ref)

    def look(self, key: KeyInput, context: dict[str, object] | None) -> bytes | None:
        return self._get_direct(key, routing_context=context)  # type: ignore[no-any-return]

    def look_many(self, keys: Sequence[KeyInput], context: dict[str, object] | None) -> dict[KeyInput, bytes | None]:
        return self._multi_get_direct(keys, context)  # type: ignore[no-any-return]

    def _models(self) -> tuple[str, ParsedManifest, dict[int, RequiredShardMeta]]:
        """The manifest's ref, the manifest and its shards by number; made once for each generation."""
        cached = self._parsed
        if cached is None or cached[0] != self._ref:
            build, shards, custom, ref = self._manifest()
            build["created_at"] = datetime_of(build.pop("created_at_us"))
            manifest = ParsedManifest(required_build=build, shards=shards, custom=json.loads(custom))
            cached = self._parsed = ref, manifest, {shard.db_id: shard for shard in manifest.shards}
        return cached

    def parsed_manifest(self) -> tuple[ParsedManifest, str]:
        ref, manifest, _ = self._models()
        return manifest, ref

    def route(self, key: KeyInput, context: dict[str, object] | None) -> int:
        shard = self._route(key, context)
        if shard is None:
            raise UnknownRoutingTokenError(f"no shard is meant for {key!r}")
        return shard  # type: ignore[no-any-return]

    def shard(self, db_id: int) -> RequiredShardMeta:
        return self._models()[2].get(db_id) or RequiredShardMeta.empty(db_id)

    def details(self) -> list[ShardDetail]:
        return [ShardDetail(*detail) for detail in self._details()]

    def state(self, staleness_threshold: timedelta | None) -> ReaderHealth:
        threshold = None if staleness_threshold is None else max(-_INT64_MAX, min(staleness_threshold // timedelta(microseconds=1), _INT64_MAX))
        status, ref, age, num_shards, is_closed = self._health(threshold)
        return ReaderHealth(status, ref, timedelta(microseconds=age), num_shards, is_closed)

    def encoding(self) -> KeyEncoding:
        return KeyEncoding(self._key_encoding)

    def look_ahead(self) -> tuple[bool, str | None]:
        """Looks at the pointer: (another generation is read now, why a new one is not)."""
        return self._refresh()  # type: ignore[no-any-return]

    def handle_of(self, db_id: int) -> CoreHandle:
        return CoreHandle(self)

    def close_core(self) -> None:
        self._close()

    def scan_pairs(self, start: KeyInput | None, end: KeyInput | None) -> Any:
        return self._scan(start, end)

    def scan_pairs_of(self, prefix: str | bytes) -> Any:
        return self._scan_prefix(prefix)


class CoreHandle:
    """A ShardReader by stored keys, over an engine that somebody else closes."""

    def __init__(self, engine: CoreEngine) -> None:
        self._engine = engine

    def get(self, key: bytes) -> bytes | None:
        try:
            return self._engine.look(key, None)
        except ConfigValidationError:
            return None  # no stored key has this size

    def close(self) -> None:
        """The engine is somebody else's."""
