"""Structured logs: an event and its fields.

Loggers are those of the standard library, below `shardyfusion`. A record's message is the event; its fields are in
`record.shardyfusion`, so that any handler can have them. Nothing is printed unless the program configures logging.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from contextvars import ContextVar, Token
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = "shardyfusion"

# A library prints nothing by itself, not even warnings.
logging.getLogger(ROOT).addHandler(logging.NullHandler())

_context: ContextVar[dict[str, Any]] = ContextVar("shardyfusion_log_context", default={})


class FailureSeverity(str, Enum):
    """How bad a failure is: it will be tried again, this operation failed, data or the whole run is at stake."""

    TRANSIENT = "transient"
    ERROR = "error"
    CRITICAL = "critical"


_LEVELS = {FailureSeverity.TRANSIENT: logging.WARNING, FailureSeverity.ERROR: logging.ERROR, FailureSeverity.CRITICAL: logging.CRITICAL}


def get_logger(name: str) -> logging.Logger:
    """The logger `name`, put below `shardyfusion` unless it is there already."""
    return logging.getLogger(name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}")


def log_event(event: str, *, level: int = logging.INFO, logger: logging.Logger | None = None, **fields: Any) -> None:
    """Logs `event` with the fields of the surrounding LogContexts and `fields`, which win."""
    _log(event, level, logger or logging.getLogger(ROOT), fields)


def _log(event: str, level: int, logger: logging.Logger, fields: dict[str, Any]) -> None:
    """For functions that are called where the event happens: that place is in the record."""
    if logger.isEnabledFor(level):
        logger.log(level, event, extra={"shardyfusion": {**_context.get(), **fields}}, stacklevel=3)


def log_failure(event: str, *, severity: FailureSeverity, error: BaseException | None = None, include_traceback: bool = False,
                logger: logging.Logger | None = None, **fields: Any) -> None:
    """log_event at the severity's level, with `severity`, the `error`'s repr and, if asked for, its `traceback`."""
    fields["severity"] = severity.value
    if error is not None:
        fields["error"] = repr(error)
        if include_traceback:
            fields["traceback"] = "".join(traceback.format_exception(error))
    _log(event, _LEVELS[severity], logger or logging.getLogger(ROOT), fields)


class LogContext:
    """Fields of every event inside a `with` block, in this thread or task. Contexts nest; the inner one wins."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields
        self._tokens: list[Token[dict[str, Any]]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_context.set({**_context.get(), **self._fields}))
        return self

    def __exit__(self, *_: object) -> None:
        _context.reset(self._tokens.pop())


class JsonFormatter(logging.Formatter):
    """One JSON object a line: timestamp (UTC), level, logger, event, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"timestamp": datetime.fromtimestamp(record.created, timezone.utc).isoformat().replace("+00:00", "Z"),
                "level": record.levelname, "logger": record.name, "event": record.getMessage()}
        for name, value in _fields_of(record).items():
            line.setdefault(name, value)
        if record.exc_info:
            line.setdefault("traceback", self.formatException(record.exc_info))
        return json.dumps(line, default=_plain)


class _TextFormatter(logging.Formatter):
    """The line of the standard library, then `name=value` for each field."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in _fields_of(record).items())])


def _fields_of(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "shardyfusion", None)
    return fields if isinstance(fields, dict) else {}


def _plain(value: Any) -> Any:
    """JSON for what json does not know: the value of an enum, else text."""
    return value.value if isinstance(value, Enum) else str(value)


class _OurHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """So that configuring again replaces only what was configured here."""


def configure_logging(level: int = logging.INFO, json_format: bool = False, stream: Any = None) -> None:
    """Prints the events of this package from `level` on to `stream` (standard error), and hands them to no other handler.

    May be called again: the last call counts.
    """
    logger = logging.getLogger(ROOT)
    for old in [handler for handler in logger.handlers if isinstance(handler, _OurHandler)]:
        logger.removeHandler(old)
    handler = _OurHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if json_format else _TextFormatter())
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
