"""A manifest as rows of two tables, the same in a SQLite file and in PostgreSQL. Source: docs/formats/sharded_manifest.md."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

from pydantic import ValidationError

from ._datashard_fields import DERIVED, NAME, VERSION, DatashardFields, exact_key, routing_values_in_base64
from .errors import ConfigValidationError, ManifestBuildError, ManifestParseError
from .manifest import (SUPPORTED_FORMAT_VERSIONS, ManifestShardingSpec, ParsedManifest, RequiredBuildMeta, RequiredShardMeta,
                       WriterInfo, moment_text)
from .sharding_types import ShardingStrategy, manifest_sharding


class Column(NamedTuple):
    name: str
    type: type
    nullable: bool = False


BUILD_COLUMNS = [Column("run_id", str), Column("created_at", str), Column("num_dbs", int), Column("s3_prefix", str),
                 Column("key_col", str), Column("sharding", str), Column("db_path_template", str), Column("shard_prefix", str),
                 Column("format_version", int), Column("key_encoding", str), Column("custom", str)]
SHARD_COLUMNS = [Column("db_id", int), Column("db_url", str, True), Column("attempt", int), Column("row_count", int),
                 Column("db_bytes", int), Column("min_key", str, True), Column("max_key", str, True),
                 Column("checkpoint_id", str, True), Column("writer_info", str)]


class ManifestColumns(NamedTuple):
    """Values in the order of BUILD_COLUMNS and SHARD_COLUMNS; shards ascend by db_id."""

    build: tuple[Any, ...]
    shards: list[tuple[Any, ...]]


def dump_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def load_json(text: str, what: str) -> Any:
    """Raises: ManifestParseError that names `what`."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ManifestParseError(f"{what} is no JSON: {error}") from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def columns_of(build: RequiredBuildMeta, shards: list[RequiredShardMeta], custom: dict[str, Any], *,
               nul_in_text: bool = True) -> ManifestColumns:
    """The rows of a manifest. Without `nul_in_text` no key's JSON has a NUL character.

    Raises: ManifestBuildError; pydantic's ValidationError for shards that do not fit the build.
    """
    shards = sorted(shards, key=lambda shard: shard.db_id)
    ParsedManifest(required_build=build, shards=shards)
    bounds: dict[str, dict[str, list[str]]] = {}
    rows = [_shard_row(shard, bounds, nul_in_text) for shard in shards]
    derived: dict[str, Any] = {"key_bounds": bounds} if bounds else {}
    values = build.sharding.routing_values
    if values and isinstance(values[0], bytes):
        derived["routing_values_base64"] = routing_values_in_base64(values)  # type: ignore[arg-type]
    try:
        custom_text = dump_json(_with_ours(custom, derived))
    except (TypeError, ValueError, RecursionError) as error:
        raise ManifestBuildError(f"the custom fields of a manifest are JSON: {error}") from error
    return ManifestColumns((build.run_id, moment_text(build.created_at), build.num_dbs, build.s3_prefix, build.key_col,
                            dump_json(_sharding_json(build.sharding)), build.db_path_template, build.shard_prefix,
                            build.format_version, build.key_encoding.value, custom_text), rows)


def _shard_row(shard: RequiredShardMeta, bounds: dict[str, dict[str, list[str]]], nul_in_text: bool) -> tuple[Any, ...]:
    texts = []
    for end, key in (("min", shard.min_key), ("max", shard.max_key)):
        text: Any = key
        if isinstance(key, bytes):
            text = _utf8_or_none(key)
        if isinstance(text, str) and "\0" in text and not nul_in_text:
            text = None
        if isinstance(key, bytes) or (isinstance(key, str) and text is None):
            bounds.setdefault(str(shard.db_id), {})[end] = exact_key(key)
        texts.append(None if text is None else dump_json(text))
    return (shard.db_id, shard.db_url, shard.attempt, shard.row_count, shard.db_bytes, *texts, shard.checkpoint_id,
            dump_json(asdict(shard.writer_info)))


def _utf8_or_none(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _sharding_json(sharding: ManifestShardingSpec) -> dict[str, object]:
    values: list[Any] | None = sharding.routing_values
    if values and isinstance(values[0], bytes):
        texts = [_utf8_or_none(value) for value in values]
        values = routing_values_in_base64(values) if None in texts else texts
    return manifest_sharding(sharding.strategy, sharding.hash_algorithm, values, sharding.cel_expr, sharding.cel_columns)


def _with_ours(custom: dict[str, Any], derived: dict[str, Any]) -> dict[str, Any]:
    """`custom` with our member brought up to date."""
    given = custom.get(NAME, {})
    if NAME in custom:
        try:
            DatashardFields.parse(custom)
        except ManifestParseError as error:
            raise ConfigValidationError(f"{error}; the custom field {NAME!r} is the store's own") from error
    ours = {**{name: value for name, value in given.items() if name not in DERIVED}, **derived}
    rest = {name: value for name, value in custom.items() if name != NAME}
    return {**rest, NAME: {**ours, "version": VERSION}} if ours else rest


def manifest_of(build: Mapping[str, Any], shards: Iterable[Mapping[str, Any]]) -> ParsedManifest:
    """The manifest that rows say. Raises: ManifestParseError."""
    meta, custom, ours = build_of(build)
    try:
        manifest = ParsedManifest(required_build=meta, shards=[shard_of(shard, ours) for shard in shards], custom=custom)
    except ValidationError as error:
        raise ManifestParseError(f"manifest of run {meta.run_id!r}: {_first_of(error)}") from error
    if unlisted := (ours.objects.keys() | ours.key_bounds.keys()) - {shard.db_id for shard in manifest.shards}:
        raise ManifestParseError(f"custom.datashard speaks of shard {min(unlisted)}, which the manifest does not list")
    return manifest


def build_of(row: Mapping[str, Any]) -> tuple[RequiredBuildMeta, dict[str, Any], DatashardFields]:
    """The first table's row, its custom fields, and ours among them. Raises: ManifestParseError."""
    values = _checked(row, BUILD_COLUMNS, "build_meta")
    if values["format_version"] not in SUPPORTED_FORMAT_VERSIONS:
        raise ManifestParseError(f"manifest of run {values['run_id']!r} has format_version {values['format_version']}; "
                                 f"this release reads {sorted(SUPPORTED_FORMAT_VERSIONS)}")
    custom = load_json(values.pop("custom"), "custom")
    if not isinstance(custom, dict):
        raise ManifestParseError("custom is no JSON object")
    ours = DatashardFields.parse(custom)
    sharding = load_json(values["sharding"], "sharding")
    if ours.routing_values is not None:
        said = sharding.get("routing_values") if isinstance(sharding, dict) else None
        if not isinstance(said, list) or len(said) != len(ours.routing_values):
            raise ManifestParseError("custom.datashard has other routing values than sharding")
        sharding["routing_values"] = ours.routing_values
    try:
        meta = RequiredBuildMeta.model_validate({**values, "sharding": sharding})
    except ValidationError as error:
        raise ManifestParseError(f"manifest of run {values['run_id']!r}: {_first_of(error)}") from error
    _check_boundaries(meta, ours)
    return meta, custom, ours


def _check_boundaries(meta: RequiredBuildMeta, ours: DatashardFields) -> None:
    if (given := ours.range_boundaries) is None:
        return
    if meta.sharding.strategy is not ShardingStrategy.CEL or meta.sharding.cel_columns != {"key": given.kind}:
        raise ManifestParseError(f"range_boundaries are {given.kind}, the expression's columns are {meta.sharding.cel_columns}")
    if len(given.values) != meta.num_dbs - 1:
        raise ManifestParseError(f"{meta.num_dbs} shards have {len(given.values)} range_boundaries")


def shard_of(row: Mapping[str, Any], ours: DatashardFields) -> RequiredShardMeta:
    """A row of the second table. Raises: ManifestParseError."""
    values = _checked(row, SHARD_COLUMNS, "shards")
    db_id = values["db_id"]
    exact = ours.key_bounds.get(db_id, {})
    for end in ("min", "max"):
        key = None if values[f"{end}_key"] is None else load_json(values[f"{end}_key"], f"{end}_key of shard {db_id}")
        if type(key) not in (int, str, type(None)):
            raise ManifestParseError(f"{end}_key of shard {db_id} is {key!r}, neither a whole number nor text")
        values[f"{end}_key"] = exact.get(end, key)
    values["writer_info"] = _writer_info(values["writer_info"], db_id)
    try:
        return RequiredShardMeta.model_validate(values)
    except ValidationError as error:
        raise ManifestParseError(f"shard {db_id}: {_first_of(error)}") from error


def _writer_info(text: str, db_id: int) -> WriterInfo:
    said = load_json(text, f"writer_info of shard {db_id}")
    known = {name: value for name, value in said.items() if name in WriterInfo.__slots__} if isinstance(said, dict) else None
    if known is None or any(type(value) not in (int, type(None)) for value in known.values()):
        raise ManifestParseError(f"writer_info of shard {db_id} is {text!r}, no object of whole numbers")
    return WriterInfo(**{name: value for name, value in known.items() if value is not None})


def _checked(row: Mapping[str, Any], columns: list[Column], table: str) -> dict[str, Any]:
    values = {}
    for name, kind, nullable in columns:
        value = row[name]
        if not (type(value) is kind or (nullable and value is None)):
            raise ManifestParseError(f"{table}.{name} is {value!r}, not {kind.__name__}")
        values[name] = value
    return values


def _first_of(error: ValidationError) -> str:
    """One line of pydantic's many."""
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
