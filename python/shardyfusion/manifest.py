"""Manifests, pointers and results of a build, as models that check themselves (pydantic v2).

Bytes: docs/formats/sharded_manifest.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from .errors import ConfigValidationError
from .sharding_types import KeyEncoding, RoutingValue, ShardHashAlgorithm, ShardingStrategy, validate_routing_values
from .type_defs import JsonObject, JsonValue

SQLITE_MANIFEST_CONTENT_TYPE = "application/x-sqlite3"
MANIFEST_FORMAT_VERSION = 4
SUPPORTED_FORMAT_VERSIONS = frozenset({MANIFEST_FORMAT_VERSION})
CURRENT_FORMAT_VERSION = 1
CEL_TYPES = frozenset({"int", "string", "bytes", "double", "bool", "uint"})


def _in_utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


Moment: TypeAlias = Annotated[datetime, AfterValidator(_in_utc)]
"""An instant in UTC; one without a zone is taken for UTC."""


def moment_text(moment: datetime) -> str:
    """2026-11-21T07:38:13.884350Z, as all our files have it."""
    return _in_utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class ManifestRef:
    """A published manifest: `ref` is what its store finds it by."""

    ref: str
    run_id: str
    published_at: datetime


class ManifestShardingSpec(BaseModel):
    """The rule that gives a key its shard."""

    model_config = ConfigDict(extra="forbid")

    strategy: ShardingStrategy = ShardingStrategy.HASH
    routing_values: list[RoutingValue] | None = None
    cel_expr: str | None = None
    cel_columns: dict[str, str] | None = None
    hash_algorithm: ShardHashAlgorithm

    @field_validator("routing_values", mode="before")
    @classmethod
    def _routing_values_are_of_one_type(cls, values: Any) -> Any:
        if isinstance(values, (list, tuple)):
            try:
                validate_routing_values(values)
            except ConfigValidationError as error:
                raise ValueError(str(error)) from error
        return values

    @model_validator(mode="after")
    def _strategy_and_expression_go_together(self) -> ManifestShardingSpec:
        if self.strategy is ShardingStrategy.HASH:
            said = [name for name in ("routing_values", "cel_expr", "cel_columns") if getattr(self, name) is not None]
            if said:
                raise ValueError(f"{said[0]} is said although the strategy is 'hash'")
        elif self.strategy is not ShardingStrategy.CEL:
            raise ValueError(f"strategy {self.strategy.value!r} is none of a manifest; those are 'hash' and 'cel'")
        elif not self.cel_expr or not self.cel_columns:
            raise ValueError("strategy 'cel' needs cel_expr and at least one of cel_columns")
        elif unknown := sorted(set(self.cel_columns.values()) - CEL_TYPES):
            raise ValueError(f"column type {unknown[0]!r} is none of {', '.join(sorted(CEL_TYPES))}")
        return self


class RequiredBuildMeta(BaseModel):
    """What holds for a whole snapshot."""

    run_id: str
    created_at: Moment
    num_dbs: int = Field(gt=0)
    s3_prefix: str
    key_col: str
    sharding: ManifestShardingSpec
    db_path_template: str
    shard_prefix: str
    format_version: int = MANIFEST_FORMAT_VERSION
    key_encoding: KeyEncoding = KeyEncoding.U64BE


@dataclass(frozen=True, slots=True)
class WriterInfo:
    """Who wrote a shard: stage and task of Spark, and how long it took."""

    stage_id: int | None = None
    task_attempt_id: int | None = None
    attempt: int = 0
    duration_ms: int = 0


class RequiredShardMeta(BaseModel):
    """One shard of a snapshot. Without `db_url` it is empty and there is no database."""

    db_id: int = Field(ge=0)
    db_url: str | None = None
    attempt: int = Field(ge=0)
    row_count: int = Field(ge=0)
    db_bytes: int = Field(ge=0)
    min_key: int | str | bytes | None = None
    max_key: int | str | bytes | None = None
    checkpoint_id: str | None = Field(default=None, description="Identity of the database, for local copies of it.")
    writer_info: WriterInfo = Field(default_factory=WriterInfo)

    @classmethod
    def empty(cls, db_id: int) -> RequiredShardMeta:
        """Of a shard that the manifest does not list."""
        return cls(db_id=db_id, attempt=0, row_count=0, db_bytes=0)


class ParsedManifest(BaseModel):
    """A manifest that holds together: as many shards as it may have, each once, and a rule for as many shards as it says."""

    model_config = ConfigDict(populate_by_name=True)

    required_build: RequiredBuildMeta = Field(validation_alias="required", serialization_alias="required")
    shards: list[RequiredShardMeta]
    custom: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shards_fit_the_build(self) -> ParsedManifest:
        num_dbs = self.required_build.num_dbs
        ids = [shard.db_id for shard in self.shards]
        if len(ids) > num_dbs or len(set(ids)) != len(ids) or any(db_id >= num_dbs for db_id in ids):
            raise ValueError(f"num_dbs is {num_dbs}, the shards listed are {ids[:20]}; each is there once at most and below num_dbs")
        values = self.required_build.sharding.routing_values
        if values is not None and num_dbs != max(1, len(values)):
            raise ValueError(f"num_dbs is {num_dbs}, but there are {len(values)} routing values")
        return self


@dataclass(frozen=True, slots=True)
class ManifestArtifact:
    """A manifest's bytes, ready to be stored."""

    payload: bytes
    content_type: str
    headers: dict[str, str] = field(default_factory=dict)


class CurrentPointer(BaseModel):
    """`_CURRENT`."""

    manifest_ref: str = Field(min_length=1)
    manifest_content_type: str
    run_id: str
    updated_at: Moment
    format_version: int = CURRENT_FORMAT_VERSION


@dataclass(frozen=True, slots=True)
class BuildDurations:
    sharding_ms: int
    write_ms: int
    manifest_ms: int
    total_ms: int


@dataclass(frozen=True, slots=True)
class BuildStats:
    durations: BuildDurations
    num_attempt_results: int
    num_winners: int
    rows_written: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A published snapshot. `winners` are its shards in ascending order; `run_record_ref` is None where no record was kept."""

    run_id: str
    winners: list[RequiredShardMeta]
    manifest_ref: str
    stats: BuildStats
    run_record_ref: str | None = None


class SqliteManifestBuilder:
    """Makes the SQLite file that a manifest is."""

    def __init__(self) -> None:
        self._custom: JsonObject = {}

    def add_custom_field(self, key: str, value: JsonValue) -> None:
        """Enters `custom` of every manifest built from now on; fields given to `build` win."""
        self._custom[key] = value

    def build(self, *, required_build: RequiredBuildMeta, shards: list[RequiredShardMeta],
              custom_fields: JsonObject) -> ManifestArtifact:
        """Raises: ManifestBuildError for custom fields that are no JSON; pydantic's ValidationError for shards that do not fit."""
        from ._manifest_columns import columns_of
        from ._manifest_file import write_manifest

        columns = columns_of(required_build, shards, {**self._custom, **custom_fields})
        return ManifestArtifact(write_manifest(columns), SQLITE_MANIFEST_CONTENT_TYPE)
