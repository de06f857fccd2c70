"""Which class an error of the core is, by its kind and by what was being done.

Where the documents promise one class and another release raised a second one, the error is both.
"""

from __future__ import annotations

import re

from .errors import (ConfigValidationError, DbAdapterError, ManifestParseError, PublishCurrentError, PublishManifestError,
                     ReaderStateError, S3TransientError, ShardAssignmentError, ShardWriteError, ShardyfusionError)


class KeyNotAccepted(ConfigValidationError, ValueError):
    """A key that the encoding or the sharding rule cannot take, or a routing context that does not fit."""


class RowNotAccepted(ConfigValidationError, ShardAssignmentError, ValueError):
    """A row whose key, value or columns cannot be stored or routed; the message has its number."""


class NoUsableManifest(ReaderStateError, ManifestParseError):
    """Manifests are there, but none that can be read."""


class NotSupported(ConfigValidationError, ManifestParseError):
    """A snapshot or a rule that is not ours to handle."""


class AccessDenied(DbAdapterError, PermissionError):
    """Credentials or rights do not suffice."""


class NotPublished(ShardWriteError, PublishManifestError):
    """The write failed for a reason that may pass; readers see the snapshot before."""


_CLASSES: dict[tuple[str, str], type[Exception]] = {
    ("invalid_argument", "configure"): ConfigValidationError,
    ("invalid_argument", "open"): ConfigValidationError,
    ("invalid_argument", "key"): KeyNotAccepted,
    ("invalid_argument", "read"): KeyNotAccepted,
    ("invalid_argument", "row"): RowNotAccepted,
    ("invalid_argument", "build"): RowNotAccepted,
    ("invalid_argument", "object"): ValueError,
    ("not_found", "object"): FileNotFoundError,
    ("not_found", "open"): ReaderStateError,
    ("not_found", "configure"): ReaderStateError,
    ("corruption", "open"): NoUsableManifest,
    ("unavailable", "row"): ShardWriteError,
    ("unavailable", "build"): NotPublished,
}
_BY_KIND: dict[str, type[Exception]] = {
    "unavailable": S3TransientError, "denied": AccessDenied, "fenced": ReaderStateError, "unsupported": NotSupported,
    "corruption": DbAdapterError, "not_found": DbAdapterError, "invalid_argument": ConfigValidationError,
    "conflict": PublishCurrentError, "commit_unknown": PublishCurrentError,
}
_REF = re.compile(r"(?:s3|file|mem)://\S*run_id=[^\s/]+/[^\s:;,]+")


def exception_of(kind: str, doing: str, message: str) -> Exception:
    """The exception for an error of the core; kind: ErrorKind's name, doing: Doing's."""
    kind = kind.replace(" ", "_")
    of = _CLASSES.get((kind, doing)) or _BY_KIND.get(kind) or (ShardWriteError if doing in ("row", "build") else DbAdapterError)
    if of is PublishCurrentError:
        ref = _REF.search(message)
        return PublishCurrentError(message, manifest_ref=ref[0] if ref else None)
    return of(message)


def kind_of(error: BaseException) -> str:
    """The core's kind of what the user's code raised."""
    if not isinstance(error, Exception):
        return "unavailable"
    if isinstance(error, PublishCurrentError):
        return "commit_unknown"
    if isinstance(error, ManifestParseError):
        return "corruption"
    if isinstance(error, (FileNotFoundError, KeyError, ReaderStateError)):
        return "not_found"
    if isinstance(error, PermissionError):
        return "denied"
    if getattr(error, "retryable", False) or isinstance(error, OSError):
        return "unavailable"
    if isinstance(error, (ConfigValidationError, ShardAssignmentError, ValueError, TypeError)):
        return "invalid_argument"
    return "internal"


def text_of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def raised_by_user(error: BaseException, ours: Exception) -> BaseException:
    """What to raise after the user's code raised `error` and the core failed with `ours` therefore."""
    if isinstance(error, ShardyfusionError) or not isinstance(error, Exception):
        return error
    ours.__cause__ = error
    return ours
