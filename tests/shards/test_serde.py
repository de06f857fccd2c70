"""Keys and values become bytes, or an error that names them."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion import ConfigValidationError, KeyEncoding, ValueSpec
from shardyfusion.serde import make_key_encoder


@pytest.mark.parametrize(("encoding", "size_bytes"), [(KeyEncoding.U64BE, 8), (KeyEncoding.U32BE, 4)])
def test_whole_numbers_become_big_endian_bytes_that_sort_like_them(encoding, size_bytes):
    encode = make_key_encoder(encoding)
    last = 2 ** (8 * size_bytes) - 1

    @given(st.integers(0, last), st.integers(0, last))
    def check(left, right):
        assert encode(left) == left.to_bytes(size_bytes, "big")
        assert (encode(left) < encode(right)) == (left < right)

    check()
    assert encode(last) == b"\xff" * size_bytes and encode(True) == encode(1)


@pytest.mark.parametrize(("encoding", "key", "said"), [
    ("u64be", -1, "0 to 18446744073709551615"), ("u64be", 2**64, "out of range"), ("u32be", 2**32, "0 to 4294967295"),
    ("u64be", "1", "takes int"), ("u64be", b"12345678", "takes int"), ("u64be", 1.0, "takes int"), ("u64be", None, "takes int"),
    ("utf8", 1, "takes str and bytes"), ("raw", None, "takes str and bytes"), ("utf8", "\ud800", "no Unicode"),
])
def test_a_key_that_its_encoding_cannot_hold_is_refused(encoding, key, said):
    with pytest.raises(ConfigValidationError, match=said):
        make_key_encoder(encoding)(key)


@pytest.mark.parametrize("encoding", ["utf8", "raw"])
def test_text_becomes_utf8_and_bytes_stay(encoding):
    encode = make_key_encoder(encoding)
    assert encode("hé") == "hé".encode() == encode("hé".encode())
    assert encode(b"\x00\xff") == b"\x00\xff" and encode("") == b"" == encode(bytearray())


@pytest.mark.parametrize(("value", "stored"), [
    (None, b""), (b"\x00\xff", b"\x00\xff"), (bytearray(b"a"), b"a"), (memoryview(b"b"), b"b"), ("hé", "hé".encode())])
def test_a_binary_column_is_the_value(value, stored):
    spec = ValueSpec.binary_col("v")
    assert spec.encode({"k": 1, "v": value}) == stored
    assert spec.description == "binary_col:v" and spec.referenced_columns() == ["v"]


@pytest.mark.parametrize(("row", "said"), [({"v": 1}, "holds int"), ({"w": b""}, "no column 'v'; it has 'w'"), ([1], "row is list"),
                                           ({"v": "\ud800"}, "no Unicode")])
def test_a_binary_column_of_another_type_or_missing_is_refused(row, said):
    with pytest.raises(ConfigValidationError, match=said):
        ValueSpec.binary_col("v").encode(row)


class SparkLikeRow:
    def asDict(self, recursive):  # noqa: N802
        assert recursive
        return {"b": {"c": 1}, "a": "é"}


def test_json_columns_are_sorted_compact_and_ascii():
    assert ValueSpec.json_cols().encode(SparkLikeRow()) == b'{"a":"\\u00e9","b":{"c":1}}'
    some = ValueSpec.json_cols(["b", "a", "missing"])
    assert some.encode({"a": 1, "b": 2, "c": 3}) == b'{"a":1,"b":2,"missing":null}'
    assert (some.description, some.referenced_columns()) == ("json_cols:b,a,missing", ["b", "a", "missing"])
    assert (ValueSpec.json_cols().description, ValueSpec.json_cols().referenced_columns()) == ("json_cols:all", None)
    with pytest.raises(ConfigValidationError, match="no JSON"):
        some.encode({"a": object()})


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.integers(), st.text(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))))
def test_a_whole_row_comes_back_from_its_json(row):
    assert json.loads(ValueSpec.json_cols().encode(row)) == row


def test_value_specs_travel_to_other_processes():
    for spec in (ValueSpec.binary_col("v"), ValueSpec.json_cols(["v"]), ValueSpec.callable_encoder(repr)):
        assert pickle.loads(pickle.dumps(spec)) == spec
    assert ValueSpec.callable_encoder(lambda row: b"x").encode({}) == b"x"
    assert ValueSpec.callable_encoder(repr).referenced_columns() is None
