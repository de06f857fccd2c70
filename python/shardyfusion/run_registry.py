"""Records of runs: who writes a snapshot now, and how earlier runs ended.

Cleaning up leaves the shards of a run alone while its lease lasts. A registry that fails never fails a write.
Bytes: docs/formats/run_record.md.
"""

from __future__ import annotations

import threading
import uuid
from datetime import datetime, timedelta, timezone
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import yaml
from pydantic import BaseModel, ValidationError

from .errors import ManifestParseError, ReaderStateError
from .logging import FailureSeverity, get_logger, log_failure
from .manifest import Moment, moment_text
from .storage import StorageBackend, backend_for, join_s3

if TYPE_CHECKING:
    from typing_extensions import Self

RUN_RECORD_FORMAT_VERSION = 1
RUN_RECORD_CONTENT_TYPE = "application/x-yaml"
RUN_RECORD_SIZE_BYTES_MAX = 2**16
ERROR_MESSAGE_CHARACTERS_MAX = 2000
DEFAULT_RUN_LEASE_DURATION = timedelta(minutes=10)
DEFAULT_RUN_HEARTBEAT_INTERVAL = timedelta(minutes=1)

_logger = get_logger("run_registry")


class RunStatus(str, Enum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class RunRecord(BaseModel):
    """One run. While it is running its writer renews `lease_expires_at`; a run whose lease is over has died."""

    format_version: int = RUN_RECORD_FORMAT_VERSION
    run_id: str
    writer_type: str
    status: RunStatus
    started_at: Moment
    updated_at: Moment
    lease_expires_at: Moment
    s3_prefix: str
    shard_prefix: str
    db_path_template: str
    manifest_ref: str | None = None
    error_type: str | None = None
    error_message: str | None = None


@runtime_checkable
class RunRegistry(Protocol):
    """Keeps records by the reference that `create` gives."""

    def create(self, record: RunRecord) -> str: ...
    def update(self, ref: str, record: RunRecord) -> None: ...
    def load(self, ref: str) -> RunRecord: ...


def run_record_payload(record: RunRecord) -> bytes:
    """The bytes of run.yaml."""
    plain: dict[str, Any] = {name: value.value if isinstance(value, Enum) else moment_text(value) if isinstance(value, datetime) else value
                             for name, value in record}
    return yaml.safe_dump(plain, sort_keys=True, default_flow_style=False, allow_unicode=True).encode()


def parse_run_record(payload: bytes) -> RunRecord:
    """Raises: ManifestParseError for what is no run record or one of an unknown version."""
    if len(payload) > RUN_RECORD_SIZE_BYTES_MAX:
        raise ManifestParseError(f"a run record is at most {RUN_RECORD_SIZE_BYTES_MAX} bytes, this one is {len(payload)}")
    try:
        record = RunRecord.model_validate(yaml.safe_load(payload))
    except (yaml.YAMLError, ValueError, ValidationError, RecursionError) as error:
        raise ManifestParseError(f"a damaged run record: {error}") from error
    if record.format_version != RUN_RECORD_FORMAT_VERSION:
        raise ManifestParseError(f"the record of run {record.run_id!r} has format_version {record.format_version}, "
                                 f"this release reads {RUN_RECORD_FORMAT_VERSION}")
    return record


class S3RunRegistry:
    """Records below `s3_prefix`, one object each; s3:// or file://."""

    def __init__(self, backend: StorageBackend, s3_prefix: str, *, run_registry_prefix: str = "runs") -> None:
        self._backend = backend
        self._runs_url = join_s3(s3_prefix, run_registry_prefix)

    def create(self, record: RunRecord) -> str:
        ref = join_s3(self._runs_url, f"{moment_text(record.started_at)}_run_id={record.run_id}_{uuid.uuid4().hex}", "run.yaml")
        self.update(ref, record)
        return ref

    def update(self, ref: str, record: RunRecord) -> None:
        self._backend.put(ref, run_record_payload(record), RUN_RECORD_CONTENT_TYPE)

    def load(self, ref: str) -> RunRecord:
        payload = self._backend.try_get(ref)
        if payload is None:
            raise ReaderStateError(f"there is no run record at {ref}")
        return parse_run_record(payload)


class InMemoryRunRegistry:
    """Records in this object, for tests and examples. Callable from several threads."""

    def __init__(self) -> None:
        self._records: dict[str, RunRecord] = {}

    def create(self, record: RunRecord) -> str:
        ref = f"mem://runs/run_id={record.run_id}_{uuid.uuid4().hex}"
        self.update(ref, record)
        return ref

    def update(self, ref: str, record: RunRecord) -> None:
        self._records[ref] = record.model_copy()

    def load(self, ref: str) -> RunRecord:
        if ref not in self._records:
            raise ReaderStateError(f"there is no run record at {ref}")
        return self._records[ref].model_copy()


def resolve_run_registry(config: Any) -> RunRegistry:
    """The registry of a writer's config: its own, or one beside the snapshot."""
    if config.lifecycle.run_registry is not None:
        registry: RunRegistry = config.lifecycle.run_registry
        return registry
    storage = config.storage
    backend = backend_for(storage.s3_prefix, storage.credential_provider, storage.s3_connection_options)
    return S3RunRegistry(backend, storage.s3_prefix, run_registry_prefix=config.output.run_registry_prefix)


class RunRecordLifecycle:
    """The record of a run from its start to its end, kept alive by a thread; a `with` block that fails marks it failed.

    Calls of the registry that fail are logged (`run_record_create_failed`, `_update_failed`), nothing else.
    """

    def __init__(self, *, registry: RunRegistry | None, record: RunRecord, ref: str | None,
                 lease_duration: timedelta = DEFAULT_RUN_LEASE_DURATION,
                 heartbeat_interval: timedelta = DEFAULT_RUN_HEARTBEAT_INTERVAL) -> None:
        self._registry = registry
        self._record = record
        self._ref = ref
        self._lease_duration = lease_duration
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, args=(heartbeat_interval.total_seconds(),), daemon=True,
                                       name=f"shardyfusion-run-{record.run_id}")
        if registry is not None and ref is not None:
            self._heart.start()

    @classmethod
    def start(cls, *, config: Any, run_id: str, writer_type: str, lease_duration: timedelta = DEFAULT_RUN_LEASE_DURATION,
              heartbeat_interval: timedelta = DEFAULT_RUN_HEARTBEAT_INTERVAL) -> RunRecordLifecycle:
        """Records that the run begins. Without a usable registry the run goes on without a record."""
        now = datetime.now(timezone.utc)
        record = RunRecord(run_id=run_id, writer_type=writer_type, status=RunStatus.RUNNING, started_at=now, updated_at=now,
                           lease_expires_at=now + lease_duration, s3_prefix=config.storage.s3_prefix,
                           shard_prefix=config.output.shard_prefix, db_path_template=config.output.db_path_template)
        registry, ref = None, None
        try:
            registry = resolve_run_registry(config)
            ref = registry.create(record)
        except Exception as error:  # noqa: BLE001
            log_failure("run_record_create_failed", severity=FailureSeverity.ERROR, error=error, logger=_logger, run_id=run_id)
        return cls(registry=registry, record=record, ref=ref, lease_duration=lease_duration, heartbeat_interval=heartbeat_interval)

    @property
    def run_record_ref(self) -> str | None:
        return self._ref

    def set_manifest_ref(self, manifest_ref: str) -> None:
        self._write(manifest_ref=manifest_ref)

    def mark_succeeded(self) -> None:
        self._write(status=RunStatus.SUCCEEDED)

    def mark_failed(self, exc: BaseException) -> None:
        self._write(status=RunStatus.FAILED, error_type=type(exc).__name__, error_message=str(exc)[:ERROR_MESSAGE_CHARACTERS_MAX])

    def close(self) -> None:
        """Ends the thread; the record stays as it is."""
        self._ended.set()
        if self._heart.is_alive() and self._heart is not threading.current_thread():
            self._heart.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None and self._record.status is RunStatus.RUNNING:
            self.mark_failed(error)
        self.close()

    def _beat(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s):
            self._write()

    def _write(self, **changes: Any) -> None:
        """Changes the record and stores it. A run that has ended stays as it ended: a late heartbeat does not revive it."""
        with self._lock:
            if self._record.status is not RunStatus.RUNNING:
                return
            now = datetime.now(timezone.utc)
            ended = changes.get("status", RunStatus.RUNNING) is not RunStatus.RUNNING
            self._record = self._record.model_copy(update={
                **changes, "updated_at": now, "lease_expires_at": now if ended else now + self._lease_duration})
            if self._registry is None or self._ref is None:
                return
            try:
                self._registry.update(self._ref, self._record)
            except Exception as error:  # noqa: BLE001
                log_failure("run_record_update_failed", severity=FailureSeverity.TRANSIENT, error=error, logger=_logger,
                            run_id=self._record.run_id, ref=self._ref)
