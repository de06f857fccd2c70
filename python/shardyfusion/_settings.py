"""Options of this package as the plain fields that the core takes (`settings.h` says which)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .credentials import CredentialProvider, credentials_of_env_file
from .errors import ConfigValidationError
from .local_slatedb_adapter import LocalSlateDbFactory
from .slatedb_adapter import SlateDbFactory
from .sqlite_adapter import SqliteFactory
from .sharding_types import KeyEncoding
from .type_defs import RetryConfig, S3ConnectionOptions

_TIMES = {"connect_timeout": "connect_timeout_s", "read_timeout": "read_timeout_s"}


def s3_fields(provider: CredentialProvider | None, options: S3ConnectionOptions | None, env_file: str | None = None) -> dict[str, Any]:
    """Fields of SnapshotS3Options; what is not given is left to the environment."""
    fields: dict[str, Any] = {}
    given: dict[str, Any] = {}
    if env_file is not None:
        said, given_by_file = credentials_of_env_file(env_file)
        given.update(given_by_file)
        _credential_fields(said, fields)
    if provider is not None:
        if not hasattr(provider, "resolve"):
            raise ConfigValidationError(f"credential_provider has no resolve(): {provider!r}")
        _credential_fields(provider.resolve(), fields)
    if options is not None and not isinstance(options, Mapping):
        raise ConfigValidationError(f"s3_connection_options are a dict, given {options!r}")
    given.update(options or {})
    for name, value in given.items():
        if value is None or name == "signature_version":  # requests are signed with version 4
            continue
        if name == "verify_ssl" and isinstance(value, str):
            fields.update(verify_ssl=True, ca_file=value)
        elif name in _TIMES:
            if not isinstance(value, (int, float)) or not value > 0:
                raise ConfigValidationError(f"{name} is a number of seconds above 0, given {value!r}")
            fields[_TIMES[name]] = float(value)
        elif name in ("endpoint_url", "region_name", "addressing_style", "verify_ssl", "max_attempts"):
            fields[name] = value
        else:
            raise ConfigValidationError(f"s3_connection_options has no {name!r}")
    return fields


def _credential_fields(credentials: Any, fields: dict[str, Any]) -> None:
    for name in ("access_key_id", "secret_access_key", "session_token"):
        try:
            value = getattr(credentials, name)
        except AttributeError:
            raise ConfigValidationError(f"a credential provider answers with S3Credentials, not with {type(credentials).__name__}") from None
        if value is not None:
            fields[name] = value


def is_ours(adapter_factory: Any) -> bool:
    """Does the core build these shards itself?"""
    return adapter_factory is None or type(adapter_factory) in (SlateDbFactory, LocalSlateDbFactory, SqliteFactory)


def format_fields(adapter_factory: Any) -> dict[str, Any]:
    """Fields of ShardFormatOptions for one of our factories."""
    if isinstance(adapter_factory, SqliteFactory):
        page_size = 0 if adapter_factory.page_size == "auto" else adapter_factory.page_size
        return {"format": "sqlite", "sqlite_page_size": page_size, "sqlite_sidecar": adapter_factory.emit_sidecar}
    overrides = (adapter_factory.settings.raw_overrides or {}) if adapter_factory is not None and adapter_factory.settings else {}
    codec = overrides.get("compression_codec")
    return {"format": "slatedb", "slatedb_compression": "none" if codec is None else str(codec).lower()}


def _retry_fields(retry: RetryConfig | None) -> dict[str, Any] | None:
    if retry is None:
        return None
    return {"max_retries": retry.max_retries, "initial_backoff_s": retry.initial_backoff.total_seconds(),
            "backoff_multiplier": float(retry.backoff_multiplier)}


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def write_fields(config: Any, *, writer_type: str, key_col: str, threads: int) -> dict[str, Any]:
    """Fields of ShardedWriteSettings, but for the rule."""
    factory = config.kv.adapter_factory
    provider = config.storage.credential_provider or getattr(factory, "credential_provider", None)
    options = config.storage.s3_connection_options or getattr(factory, "s3_connection_options", None)
    try:
        custom = json.dumps(config.manifest.custom_manifest_fields, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigValidationError(f"custom_manifest_fields are no JSON: {error}") from error
    fields: dict[str, Any] = {
        "prefix": config.storage.s3_prefix, "s3": s3_fields(provider, options, getattr(factory, "env_file", None)),
        "key_encoding": KeyEncoding.from_value(config.kv.key_encoding).value, "key_col": key_col, "writer_type": writer_type, "run_id": config.output.run_id,
        "db_path_template": config.output.db_path_template, "shard_prefix": config.output.shard_prefix,
        "run_registry_prefix": config.output.run_registry_prefix, "local_root": str(config.output.local_root), "custom": custom,
        "batch_size": config.kv.batch_size, "writes_per_second_max": _number(config.rate_limits.max_writes_per_second),
        "write_bytes_per_second_max": _number(config.rate_limits.max_write_bytes_per_second),
        "shard_retry": _retry_fields(config.retry.shard_retry), "threads": threads,
    }
    if is_ours(factory):
        fields["format"] = format_fields(factory)
        if config.kv.profile_value_sizes_for_page_size and isinstance(factory, SqliteFactory):
            fields["format"]["sqlite_page_size"] = 0
    return fields
