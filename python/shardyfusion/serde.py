"""Keys and values of rows become bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from .errors import ConfigValidationError
from .sharding_types import KeyEncoding, KeyInput

if TYPE_CHECKING:
    from typing_extensions import Self

KeyEncoder: TypeAlias = Callable[[KeyInput], bytes]


def make_key_encoder(encoding: KeyEncoding) -> KeyEncoder:
    """The function that gives a key's bytes in a shard.

    u64be, u32be: int of [0, 2^64) or [0, 2^32) as 8 or 4 big-endian bytes. utf8, raw: str as UTF-8, bytes as they are.
    It raises ConfigValidationError for keys of another type or range. Source: docs/formats/sharded_manifest.md.
    """
    encoding = KeyEncoding.from_value(encoding)
    if encoding is KeyEncoding.U64BE:
        return _number_encoder(8, encoding.value)
    if encoding is KeyEncoding.U32BE:
        return _number_encoder(4, encoding.value)

    def encode_text(key: KeyInput) -> bytes:
        if isinstance(key, (bytes, bytearray)):
            return bytes(key)
        if isinstance(key, str):
            return _utf8(key, "key")
        raise ConfigValidationError(f"key {key!r} is {type(key).__name__}; {encoding.value} takes str and bytes")

    return encode_text


def _number_encoder(size_bytes: int, name: str) -> KeyEncoder:
    def encode_number(key: KeyInput) -> bytes:
        if not isinstance(key, int):
            raise ConfigValidationError(f"key {key!r} is {type(key).__name__}; {name} takes int")
        try:
            return key.to_bytes(size_bytes, "big")
        except OverflowError:
            raise ConfigValidationError(f"key {key} is out of range; {name} takes 0 to {2 ** (8 * size_bytes) - 1}") from None

    return encode_number


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise ConfigValidationError(f"{what} {text!r} is no Unicode text: {error.reason} at {error.start}") from error


@dataclass(frozen=True)
class ValueSpec:
    """How a row's value is made. Rows are mappings or Spark rows (`asDict`)."""

    encoder: Callable[[object], bytes]
    description: str

    def encode(self, row: object) -> bytes:
        return self.encoder(row)

    @classmethod
    def binary_col(cls, col_name: str) -> Self:
        """The column's bytes; text as UTF-8, null as no bytes."""
        return cls(BinaryColumn(col_name), f"binary_col:{col_name}")

    @classmethod
    def json_cols(cls, cols: list[str] | None = None) -> Self:
        """A JSON object of the columns, or of the whole row; a column that a row lacks is null."""
        return cls(JsonColumns(None if cols is None else tuple(cols)), f"json_cols:{'all' if cols is None else ','.join(cols)}")

    @classmethod
    def callable_encoder(cls, fn: Callable[[object], bytes]) -> Self:
        return cls(fn, "callable")

    def referenced_columns(self) -> list[str] | None:
        """The columns it reads; None: any of them."""
        if isinstance(self.encoder, BinaryColumn):
            return [self.encoder.name]
        if isinstance(self.encoder, JsonColumns) and self.encoder.names is not None:
            return list(self.encoder.names)
        return None


# Classes and not closures: writers in other processes get them pickled.
@dataclass(frozen=True)
class BinaryColumn:
    name: str

    def __call__(self, row: object) -> bytes:
        columns = _columns_of(row)
        if self.name not in columns:
            raise ConfigValidationError(f"a row has no column {self.name!r}; it has {', '.join(map(repr, columns))}")
        value = columns[self.name]
        if value is None:
            return b""
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        if isinstance(value, str):
            return _utf8(value, f"column {self.name!r}:")
        raise ConfigValidationError(f"column {self.name!r} holds {type(value).__name__}; a binary value is bytes, str or null")


@dataclass(frozen=True)
class JsonColumns:
    names: tuple[str, ...] | None

    def __call__(self, row: object) -> bytes:
        columns = _columns_of(row)
        chosen = columns if self.names is None else {name: columns.get(name) for name in self.names}
        try:
            return json.dumps(chosen, sort_keys=True, separators=(",", ":")).encode()
        except (TypeError, ValueError) as error:
            raise ConfigValidationError(f"a row is no JSON: {error}; use ValueSpec.callable_encoder") from error


def _columns_of(row: Any) -> Mapping[str, Any]:
    if isinstance(row, Mapping):
        return row
    if hasattr(row, "asDict"):
        return row.asDict(recursive=True)  # type: ignore[no-any-return]
    raise ConfigValidationError(f"a row is {type(row).__name__}; a value spec takes mappings and Spark rows")
