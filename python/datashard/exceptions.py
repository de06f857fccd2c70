"""The exceptions of DataShard, and which of them stands for which error of the core.

There is one class per thing a caller does about an error; all derive from `DataShardError`. Programs written for earlier
releases catch built-in or pyarrow classes instead: such an error is raised as a class that derives from both. Classes
that derive from pyarrow's are made when the first one is raised, so that importing this package does not import pyarrow.
"""

from __future__ import annotations

__all__ = [
    "DataShardError", "InvalidArgument", "NotFound", "AlreadyExists", "Conflict", "CommitUnknown", "Unavailable", "Denied",
    "Fenced", "Corruption", "Unsupported", "InternalError", "ConcurrentModificationException", "AmbiguousCommitError",
    "AmbiguousMetadataError", "CorruptDataError", "LegacyLayoutError", "TableExistsError", "SchemaMismatchError",
    "TableNotFound", "FileMissing", "InconsistentMetadata", "GarbageCollectionAborted",
]


class DataShardError(Exception):
    """Base of everything the core reports."""


class InvalidArgument(DataShardError, ValueError):
    """The call has to be changed; nothing was done."""


class NotFound(DataShardError, LookupError):
    """A table, snapshot or file that does not exist."""


class AlreadyExists(DataShardError):
    """Something of that name exists already."""


class Conflict(DataShardError):
    """Another writer came first; nothing was published. Plan again on the new state of the table."""


class CommitUnknown(DataShardError):
    """Whether the commit became durable could not be found out. Read the table to settle it; do not simply repeat."""


class Unavailable(DataShardError, OSError):
    """Storage does not work at the moment, or is full. Try again later."""


class Denied(DataShardError, PermissionError):
    """Credentials or rights are missing."""


class Fenced(DataShardError):
    """A newer writer owns this place; open it again."""


class Corruption(DataShardError):
    """Stored bytes are not what they must be. Keep them; trying again does not help."""


class Unsupported(DataShardError, NotImplementedError):
    """Valid, but not ours to handle; the message names another way."""


class InternalError(DataShardError, RuntimeError):
    """A bug of this package. Nothing doubtful was published."""


class ConcurrentModificationException(Conflict):
    """The time for retries is spent; nothing was published."""


class AmbiguousCommitError(CommitUnknown):
    """The commit may be durable; its files were kept."""


class AmbiguousMetadataError(Corruption):
    """Several states of the table contradict each other."""


class CorruptDataError(Corruption):
    """A file of the table is damaged; no partial rows were returned."""


class LegacyLayoutError(Unsupported):
    """A table written before release 0.10; nothing was changed."""


class TableExistsError(AlreadyExists):
    """There is a table at this path."""


class SchemaMismatchError(TableExistsError):
    """There is a table at this path, with another schema."""


class TableNotFound(NotFound, ValueError):
    """No table at this path; nothing was created."""


class FileMissing(NotFound, FileNotFoundError):
    """A file the table names, or a caller named, does not exist."""


class InconsistentMetadata(CorruptDataError, RuntimeError):
    """Metadata names something that is missing or damaged."""


class GarbageCollectionAborted(DataShardError, RuntimeError):
    """Collection found something it could not verify; nothing was deleted."""


_BY_KIND = {
    "invalid argument": InvalidArgument,
    "not found": FileMissing,
    "already exists": AlreadyExists,
    "conflict": ConcurrentModificationException,
    "commit unknown": AmbiguousCommitError,
    "unavailable": Unavailable,
    "denied": Denied,
    "fenced": Fenced,
    "corruption": CorruptDataError,
    "unsupported": Unsupported,
    "internal error": InternalError,
}

# Where the subject matters beyond the kind.
_BY_SUBJECT = {
    ("not found", "table"): TableNotFound,
    ("not found", "snapshot"): NotFound,
    ("not found", "metadata"): InconsistentMetadata,
    ("corruption", "metadata"): InconsistentMetadata,
    ("already exists", "table"): TableExistsError,
    ("already exists", "schema"): SchemaMismatchError,
    ("unsupported", "legacy_layout"): LegacyLayoutError,
}

# Invalid arguments that earlier releases reported with pyarrow's classes.
_OF_PYARROW = {
    "column": ("UnknownColumn", ("ArrowInvalid",)),
    "value": ("BadValue", ("ArrowInvalid", "ArrowTypeError")),
    "operand": ("BadOperand", ("ArrowNotImplementedError", "ArrowInvalid", "ArrowTypeError")),
}
_made: dict[tuple[str, bool], type] = {}


def _class_with_pyarrow(subject: str, overflow: bool) -> type:
    key = (subject, overflow)
    if key not in _made:
        import pyarrow

        name, bases = _OF_PYARROW[subject]
        also = (OverflowError,) if overflow else ()
        _made[key] = type(name, (InvalidArgument, *(getattr(pyarrow, base) for base in bases), *also), {
            "__module__": __name__,
            "__doc__": f"The InvalidArgument for a {subject} that does not fit.",
            "__reduce__": _reduce,
            "_key": key,
        })
    return _made[key]


def _restore(key: tuple[str, bool], args: tuple) -> Exception:
    return _class_with_pyarrow(*key)(*args)


def _reduce(self):
    # The class exists in no module, so a worker process could not find it by name.
    return _restore, (self._key, self.args)


def exception_of(kind: str, subject: str, message: str, overflow: bool = False) -> Exception:
    """The exception for an error of the core. `kind` and `subject` are spelled as the core does."""
    if kind == "invalid argument" and subject in _OF_PYARROW:
        return _class_with_pyarrow(subject, overflow)(message)
    cls = _BY_SUBJECT.get((kind, subject)) or _BY_KIND.get(kind, InternalError)
    if cls is InconsistentMetadata:
        message = f"inconsistent metadata: {message}"
    return cls(message)


def not_yet(name: str, alternative: str) -> NotImplementedError:
    """The exception for a name that a later release brings."""
    return NotImplementedError(f"{name} is not available in this release; {alternative}")
