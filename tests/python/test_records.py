"""Values from Python into columns and back: without loss, or refused with record and field."""

from __future__ import annotations

import datetime
import decimal
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import datashard
from datashard import _core

UTC = datetime.timezone.utc
PLUS2 = datetime.timezone(datetime.timedelta(hours=2))
KEY = uuid.UUID("f79c3e09-677c-4bbd-a479-3f349cb785e7")

# type, value given, value read back
ACCEPTED = [
    ("boolean", True, True),
    ("boolean", np.bool_(False), False),
    ("int", -(2**31), -(2**31)),
    ("int", np.int64(5), 5),
    ("int", 3.0, 3),
    ("long", 2**63 - 1, 2**63 - 1),
    ("long", -(2**63), -(2**63)),
    ("long", np.uint64(7), 7),
    ("long", Decimal("5"), 5),
    ("long", Decimal("1.5E+1"), 15),
    ("long", np.float64(-4.0), -4),
    ("float", 0.5, 0.5),
    ("float", 2**24, 2.0**24),
    ("float", np.float32(1.5), 1.5),
    ("float", float("inf"), float("inf")),
    ("double", 0.1, 0.1),
    ("double", 7, 7.0),
    ("double", 2**63, 2.0**63),
    ("double", -0.0, -0.0),
    ("double", np.float16(1.5), 1.5),
    ("decimal(10,2)", Decimal("-1.5"), Decimal("-1.50")),
    ("decimal(10,2)", Decimal("1E+3"), Decimal("1000.00")),
    ("decimal(10,2)", Decimal("1.500000"), Decimal("1.50")),
    ("decimal(10,2)", Decimal("-0.0"), Decimal("0.00")),
    ("decimal(10,2)", 12, Decimal("12.00")),
    ("decimal(10,2)", np.int32(3), Decimal("3.00")),
    ("decimal(38,0)", 10**38 - 1, Decimal(10**38 - 1)),
    ("decimal(38,38)", Decimal("-0." + "9" * 38), Decimal("-0." + "9" * 38)),
    ("date", datetime.date(1, 1, 1), datetime.date(1, 1, 1)),
    ("date", datetime.date(9999, 12, 31), datetime.date(9999, 12, 31)),
    ("date", datetime.datetime(2020, 2, 29), datetime.date(2020, 2, 29)),
    ("date", np.datetime64("1969-12-31"), datetime.date(1969, 12, 31)),
    ("date", pd.Timestamp("2020-01-01"), datetime.date(2020, 1, 1)),
    ("time", datetime.time(23, 59, 59, 999999), datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(1, 1, 1), datetime.datetime(1, 1, 1)),
    ("timestamp", datetime.datetime(1969, 12, 31, 23, 59, 59, 999999), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("timestamp", np.datetime64("2020-01-01T00:00:00.000001000"), datetime.datetime(2020, 1, 1, 0, 0, 0, 1)),
    ("timestamp", pd.Timestamp("2020-01-01 12:00"), datetime.datetime(2020, 1, 1, 12)),
    ("timestamptz", datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2020, 1, 1, tzinfo=UTC)),
    ("timestamptz", datetime.datetime(2020, 1, 1, 2, tzinfo=PLUS2), datetime.datetime(2020, 1, 1, tzinfo=UTC)),
    ("timestamptz", datetime.datetime(2020, 1, 1), datetime.datetime(2020, 1, 1, tzinfo=UTC)),
    ("timestamptz", pd.Timestamp("2020-07-01", tz="Europe/Berlin"), datetime.datetime(2020, 6, 30, 22, tzinfo=UTC)),
    ("string", "", ""),
    ("string", "größe 🛫 \x00 \u20ac", "größe 🛫 \x00 \u20ac"),
    ("string", np.str_("x"), "x"),
    ("uuid", KEY, str(KEY)),
    ("uuid", str(KEY).upper(), str(KEY)),
    ("uuid", KEY.hex, str(KEY)),
    ("uuid", "{" + str(KEY) + "}", str(KEY)),
    ("uuid", KEY.urn, str(KEY)),
    ("uuid", KEY.bytes, str(KEY)),
    ("binary", b"\x00\xff", b"\x00\xff"),
    ("binary", bytearray(b"x"), b"x"),
    ("binary", memoryview(b"xyz")[1:], b"yz"),
    ("fixed[2]", b"ab", b"ab"),
    ("string", None, None),
    ("date", pd.NaT, None),
    ("timestamp", pd.NaT, None),
    ("timestamptz", np.datetime64("NaT"), None),
    ("long", pd.NA, None),
]

REFUSED = [
    ("boolean", 1), ("boolean", 0.0), ("boolean", "true"),
    ("int", 2**31), ("int", -(2**31) - 1), ("int", 1.9), ("int", True), ("int", np.True_), ("int", "12"),
    ("long", 1.9), ("long", True), ("long", "12"), ("long", b"1"), ("long", float("nan")), ("long", float("inf")),
    ("long", 1e30), ("long", Decimal("1.5")), ("long", Decimal("NaN")), ("long", datetime.date(2020, 1, 1)),
    ("long", 2**63), ("long", -(2**63) - 1), ("long", 2**70), ("long", np.uint64(2**64 - 1)), ("long", Decimal("1E+999999")),
    ("float", True), ("float", "1"), ("float", 1e300), ("float", 2**24 + 1),
    ("double", True), ("double", "1.5"), ("double", Decimal("1.5")), ("double", 2**53 + 1), ("double", 10**400),
    ("decimal(10,2)", 1.5), ("decimal(10,2)", "1.5"), ("decimal(10,2)", Decimal("1.555")), ("decimal(10,2)", 10**8),
    ("decimal(10,2)", Decimal("NaN")), ("decimal(10,2)", Decimal("-Infinity")), ("decimal(10,2)", True),
    pytest.param("decimal(10,2)", 10**5000, id="decimal-huge"), pytest.param("long", 10**5000, id="long-huge"),
    ("decimal(10,2)", Decimal("1E+999999999")), ("decimal(10,2)", Decimal("1E-999999999")),
    ("date", 5), ("date", "2020-01-01"), ("date", datetime.datetime(2020, 1, 1, 5)),
    ("date", datetime.datetime(2020, 1, 1, tzinfo=UTC)), ("date", datetime.time(1)),
    ("time", 5), ("time", "01:02:03"), ("time", datetime.time(1, tzinfo=UTC)), ("time", datetime.datetime(2020, 1, 1)),
    ("timestamp", 5), ("timestamp", 1.5), ("timestamp", "2020-01-01"), ("timestamp", datetime.date(2020, 1, 1)),
    ("timestamp", datetime.datetime(2020, 1, 1, tzinfo=UTC)), ("timestamp", pd.Timestamp(1)),
    ("timestamp", np.datetime64(1, "ns")), ("timestamp", np.datetime64(2**62, "D")),
    ("timestamptz", 5), ("timestamptz", datetime.date(2020, 1, 1)), ("timestamptz", pd.Timestamp(1, tz="UTC")),
    ("string", 5), ("string", 1.5), ("string", True), ("string", b"x"), ("string", float("nan")), ("string", KEY),
    ("string", "\ud800"), ("string", ["x"]),
    ("uuid", "x"), ("uuid", 5), ("uuid", b"x"), ("uuid", str(KEY) + "0"), ("uuid", "g" * 32), ("uuid", "é" * 32),
    ("binary", "x"), ("binary", 5), ("binary", [1]), ("binary", memoryview(b"abcd")[::2]),
    ("fixed[2]", b"abc"), ("fixed[2]", b"a"), ("fixed[2]", "ab"),
]


def stream_of(rows, **columns):
    fields = [{"id": number, "name": name, "type": kind} for number, (name, kind) in enumerate(columns.items(), start=1)]
    return _core.rows_of_records(rows, 1, fields)


def through_arrow(rows, **columns):
    return stream_of(rows, **columns).all_records()


@pytest.mark.parametrize("kind, given_value, expected", ACCEPTED)
def test_value_comes_back(kind, given_value, expected):
    [row] = through_arrow([{"a": given_value}], a=kind)
    if kind == "uuid" and isinstance(row["a"], bytes):  # without a table, a uuid is 16 bytes
        row["a"] = str(uuid.UUID(bytes=row["a"]))
    assert row == {"a": expected}
    assert type(row["a"]) is type(expected)


@pytest.mark.parametrize("kind, value", REFUSED)
def test_value_is_refused_with_its_place(kind, value):
    rows = [{"a": None}, {"a": value}]
    with pytest.raises(datashard.InvalidArgument, match=r"record 1, field 'a'") as caught:
        through_arrow(rows, a=kind)
    assert isinstance(caught.value, (ValueError, pa.ArrowInvalid))
    assert isinstance(caught.value, pa.ArrowTypeError)


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**70, np.uint64(2**64 - 1)])
def test_integers_beyond_64_bits_are_overflow_errors_too(value):
    with pytest.raises(OverflowError):
        through_arrow([{"a": value}], a="long")


def test_every_type_through_a_table(make):
    columns = {f"c{i}": kind for i, kind in enumerate(dict.fromkeys(kind for kind, _, _ in ACCEPTED))}
    names = {kind: name for name, kind in columns.items()}
    table = make(**columns)
    expected = []
    for kind, value, back in ACCEPTED:
        table_row = dict.fromkeys(columns)
        expected.append(table_row | {names[kind]: back})
    table.append_records([{names[kind]: value} for kind, value, _ in ACCEPTED])
    assert table.scan() == expected
    assert table.scan(columns=[names["uuid"]], filter={names["uuid"]: KEY})[0] == {names["uuid"]: str(KEY)}


def test_missing_and_reordered_fields(make):
    table = make(a="long required", b="string", c="double")
    table.append_records([{"c": 1.5, "a": 1}, {"b": "x", "a": 2}, {"a": 3}, dict(a=4, b="y", c=2.5)])
    assert table.scan() == [
        {"a": 1, "b": None, "c": 1.5}, {"a": 2, "b": "x", "c": None}, {"a": 3, "b": None, "c": None},
        {"a": 4, "b": "y", "c": 2.5}]
    assert list(table.scan()[0]) == ["a", "b", "c"]


@pytest.mark.parametrize("rows, message", [
    ([{"a": 1}, {"a": 2, "zz": 1, "yy": 2}], r"record 1 .*'zz', 'yy'.*'a', 'b'"),
    ([{"a": 1}, {1: 2}], r"record 1 .*: 1\."),
    ([{"a": 1}, {"b": "x"}], r"record 1 .*required field 'a'"),
    ([{"a": 1}, {}], r"record 1 .*required field 'a'"),
    ([{"a": None}], r"record 0 .*required field 'a'"),
    ([{"a": pd.NA}], r"record 0 .*required field 'a'"),
    ([{"a": 1}, 7], r"record 1 is 7 \(int\), not a dict"),
    ([{"a": 1}, None], r"record 1 is None"),
    ([("a", 1)], r"record 0 is \('a', 1\)"),
    ({"a": 1}, r"put the dict into a list"),
    ("abc", r"list of dicts, not str"),
    (5, r"list of dicts, not int"),
])
def test_records_that_fit_no_schema(make, rows, message):
    table = make(a="long required", b="string")
    with pytest.raises(ValueError, match=message):
        table.append_records(rows)
    assert table.current_snapshot() is None and table.scan() == []


def test_mappings_subclasses_and_iterables_are_records_too(make):
    import collections
    import types

    table = make(a="long", b="string")
    table.append_records(iter([collections.OrderedDict(b="x", a=1), types.MappingProxyType({"a": 2}),
                               collections.defaultdict(int, a=3)]))
    table.append_records(({"a": n} for n in (4, 5)))
    assert [row["a"] for row in table.scan()] == [1, 2, 3, 4, 5]


def test_a_record_that_changes_while_it_is_read(make):
    """Converting a value can run Python code; what that does to the record must not hurt us."""
    record = {"a": None, "b": "x"}

    class Zone(datetime.tzinfo):
        def utcoffset(self, moment):
            record.clear()
            records.clear()
            return datetime.timedelta(0)

    record["a"] = datetime.datetime(2020, 1, 1, tzinfo=Zone())
    records = [record, {"b": "y"}]
    rows = through_arrow(records, a="timestamptz", b="string")
    assert rows[0]["a"] == datetime.datetime(2020, 1, 1, tzinfo=UTC)


def test_a_key_class_that_equals_two_keys():
    class Sly(str):
        def __eq__(self, other):
            return type(other) is str and other == "a"

        def __hash__(self):
            return hash("a")

    with pytest.raises(datashard.InvalidArgument, match="twice"):
        through_arrow([{"b": 1, Sly("x"): 2, Sly("y"): 3}], a="long", b="long")


def test_errors_of_users_code_pass_through():
    class Zone(datetime.tzinfo):
        def utcoffset(self, moment):
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        through_arrow([{"a": datetime.datetime(2020, 1, 1, tzinfo=Zone())}], a="timestamptz")


def test_large_lists_become_several_batches(make):
    count = 70_000
    stream = stream_of([{"a": n} for n in range(count)], a="long")
    sizes = []
    while (batch := stream.next_records()) is not None:
        sizes.append(len(batch))
    assert sum(sizes) == count and len(sizes) == 2
    table = make(a="long", b="string")
    table.append_records([{"a": n, "b": str(n)} for n in range(count)])
    assert [row["a"] for row in table.scan()] == list(range(count))
    assert len(table.snapshots()) == 1


TYPES = {
    "a": ("long", st.integers(-(2**63), 2**63 - 1)),
    "b": ("string", st.text()),
    "c": ("double", st.floats(allow_nan=False)),
    "d": ("boolean", st.booleans()),
    "e": ("binary", st.binary()),
    "f": ("date", st.dates()),
    "g": ("timestamp", st.datetimes()),
    "h": ("timestamptz", st.datetimes(timezones=st.just(UTC))),
    "i": ("time", st.times()),
    "j": ("decimal(38,10)", st.decimals(min_value=-10**27, max_value=10**27, places=10)),
    "k": ("int", st.integers(-(2**31), 2**31 - 1)),
    "l": ("fixed[3]", st.binary(min_size=3, max_size=3)),
}
RECORDS = st.lists(st.fixed_dictionaries({}, optional={n: st.none() | s for n, (_, s) in TYPES.items()}), max_size=20)


@settings(max_examples=150, deadline=None)
@given(rows=RECORDS)
def test_any_records_come_back(rows):
    columns = {name: kind for name, (kind, _) in TYPES.items()}
    assert through_arrow(rows, **columns) == [{name: row.get(name) for name in columns} for row in rows]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=RECORDS)
def test_any_records_come_back_from_disk(make, rows):
    columns = {name: kind for name, (kind, _) in TYPES.items()}
    table = make(**columns)
    table.append_records(rows)
    expected = [{name: row.get(name) for name in columns} for row in rows]
    assert table.scan() == expected
    assert table.to_arrow().to_pylist() == expected


class TestInference:
    def test_one_value_of_each_class(self):
        rows = [{"a": True, "b": 1, "c": 1.5, "d": "x", "e": b"x", "f": datetime.date(2020, 1, 1), "g": datetime.time(1),
                 "h": datetime.datetime(2020, 1, 1), "i": datetime.datetime(2020, 1, 1, tzinfo=UTC), "j": Decimal("1.25"),
                 "k": KEY, "l": np.int32(1), "m": np.float32(1), "n": np.datetime64("2020-01-01")}]
        _, fields = _core.schema_of_records(rows)
        assert [f["type"] for f in fields] == [
            "boolean", "long", "double", "string", "binary", "date", "time", "timestamp", "timestamptz", "decimal(38, 2)",
            "uuid", "long", "double", "timestamp"]
        assert [f["id"] for f in fields] == list(range(1, 15))
        assert not any(f["required"] for f in fields)

    def test_columns_appear_in_order_and_numbers_widen(self):
        _, fields = _core.schema_of_records([{"a": 1, "b": None}, {"c": Decimal("1"), "a": 0.5}, {"b": "x", "c": Decimal("0.001")}])
        assert [(f["name"], f["type"]) for f in fields] == [("a", "double"), ("b", "string"), ("c", "decimal(38, 3)")]

    @pytest.mark.parametrize("rows, message", [
        ([{"a": 1, "b": None}, {"a": 2}], "field 'b' is None in every record"),
        ([{"a": 1}, {"a": "x"}], r"field 'a' is long in record 0 and 'x' \(str\) in record 1"),
        ([{"a": True}, {"a": 1}], "boolean in record 0"),
        ([{"a": [1]}], r"record 0, field 'a': no column type is known for \[1\] \(list\)"),
        ([{}], "no fields"),
        ([{1: 2}], "no field name"),
        ([5], "not a dict"),
    ])
    def test_records_without_a_schema(self, make, rows, message):
        table = make()
        with pytest.raises(ValueError, match=message):
            table.append_records(rows)
        assert table.schema is None

    def test_quick_start_without_any_schema(self, tmp_path):
        table = datashard.create_table(str(tmp_path / "t"))
        assert table.append_records([{"id": 1, "name": "x", "score": 1}, {"id": 2, "score": 0.5}]) is True
        assert table.scan() == [{"id": 1, "name": "x", "score": 1.0}, {"id": 2, "name": None, "score": 0.5}]
        table.append_records([{"name": "y", "id": 3}])
        with pytest.raises(ValueError, match="'extra'"):
            table.append_records([{"id": 4, "extra": 1}])
        assert table.row_count() == 3
