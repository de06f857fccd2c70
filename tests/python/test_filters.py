"""Filters: every operator against a plain model, SQL's rules for null, and the errors."""

from __future__ import annotations

import datetime
import math
import operator
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import datashard
from datashard.filters import FilterExpression, FilterOp, get_column_id_by_name, parse_filter_dict

UTC = datetime.timezone.utc
KEYS = [uuid.UUID(int=n) for n in (1, 2**127, 3)]
ROWS = [
    {"id": 1, "name": "a", "x": 0.5, "d": Decimal("1.50"), "day": datetime.date(2020, 1, 1), "ok": True, "key": KEYS[0],
     "at": datetime.datetime(2020, 1, 1, tzinfo=UTC), "naive": datetime.datetime(2020, 1, 1), "raw": b"a", "t": datetime.time(1)},
    {"id": 2, "name": None, "x": float("nan"), "d": Decimal("-1.50"), "day": None, "ok": False, "key": KEYS[1],
     "at": None, "naive": None, "raw": None, "t": None},
    {"id": 3, "name": "größe", "x": None, "d": None, "day": datetime.date(2020, 1, 3), "ok": None, "key": None,
     "at": datetime.datetime(2020, 1, 3, tzinfo=UTC), "naive": datetime.datetime(2020, 1, 3), "raw": b"\xff", "t": datetime.time(3)},
    {"id": None, "name": "b", "x": -1.0, "d": Decimal("0"), "day": datetime.date(2020, 1, 2), "ok": True, "key": KEYS[2],
     "at": datetime.datetime(2020, 1, 2, tzinfo=UTC), "naive": datetime.datetime(2020, 1, 2), "raw": b"", "t": datetime.time(2)},
]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    made = datashard.create_table(tmp_path_factory.mktemp("filters") / "t", datashard.Schema(1, [
        {"id": n, "name": name, "type": kind} for n, (name, kind) in enumerate({
            "id": "long", "name": "string", "x": "double", "d": "decimal(9,2)", "day": "date", "ok": "boolean",
            "key": "uuid", "at": "timestamptz", "naive": "timestamp", "raw": "binary", "t": "time"}.items(), start=1)]))
    made.append_records(ROWS[:2])
    made.append_records(ROWS[2:])
    return made


def rows_where(table, **conditions):
    """Numbers (from 0) of the rows that match."""
    found = table.scan(filter=conditions)
    everything = table.scan()
    return [n for n, row in enumerate(everything) if any(_same(row, other) for other in found)]


def _same(a, b):
    return all(a[k] == b[k] or (isinstance(a[k], float) and isinstance(b[k], float) and math.isnan(a[k]) and math.isnan(b[k]))
               for k in a)


@pytest.mark.parametrize("conditions, expected", [
    ({"id": 1}, [0]), ({"id": 1.0}, [0]), ({"id": np.int64(1)}, [0]), ({"id": ("==", 9)}, []),
    ({"id": ("!=", 1)}, [1, 2]), ({"id": ("<>", 1)}, [1, 2]), ({"id": ("ne", 1)}, [1, 2]),
    ({"id": ("<", 2)}, [0]), ({"id": ("LT", 2)}, [0]), ({"id": ("<=", 2)}, [0, 1]), ({"id": ("Ge", 2)}, [1, 2]),
    ({"id": (">", 1)}, [1, 2]), ({"id": (FilterOp.GT, 1)}, [1, 2]),
    ({"id": ("in", [1, 3, 9])}, [0, 2]), ({"id": ("in", {1})}, [0]), ({"id": ("in", range(3))}, [0, 1]),
    ({"id": ("IN", (1, None))}, [0]), ({"id": ("in", [])}, []), ({"id": ("in", [None])}, []),
    ({"id": ("not_in", [1])}, [1, 2]), ({"id": ("not in", [1, None])}, [1, 2]), ({"id": ("notin", [])}, [0, 1, 2]),
    ({"id": ("between", (2, 3))}, [1, 2]), ({"id": ("between", [3, 2])}, []),
    ({"id": ("is_null", True)}, [3]), ({"id": ("isnull", None)}, [3]), ({"id": ("is_not_null", True)}, [0, 1, 2]),
    ({"id": ("notnull", True)}, [0, 1, 2]),
    ({"name": "größe"}, [2]), ({"name": (">", "a")}, [2, 3]), ({"name": ("in", ["a", "b"])}, [0, 3]),
    ({"x": ("<", 0.5)}, [3]), ({"x": ("!=", 0.5)}, [3]), ({"x": (">=", -1)}, [0, 3]), ({"x": ("not_in", [0.5])}, [3]),
    ({"x": ("is_not_null", True)}, [0, 1, 3]), ({"x": float("nan")}, []),
    ({"d": Decimal("1.5")}, [0]), ({"d": ("<", 0)}, [1]), ({"d": (">=", Decimal("-1.5"))}, [0, 1, 3]),
    ({"day": datetime.date(2020, 1, 1)}, [0]), ({"day": (">", datetime.date(2020, 1, 1))}, [2, 3]),
    ({"ok": True}, [0, 3]), ({"ok": False}, [1]), ({"ok": np.True_}, [0, 3]),
    ({"key": KEYS[1]}, [1]), ({"key": str(KEYS[1]).upper()}, [1]), ({"key": ("in", [KEYS[0].hex, KEYS[2]])}, [0, 3]),
    ({"at": (">=", datetime.datetime(2020, 1, 2, tzinfo=UTC))}, [2, 3]),
    ({"at": datetime.datetime(2020, 1, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))}, [0]),
    ({"at": pd.Timestamp("2020-01-03", tz="UTC")}, [2]),
    ({"naive": ("<", datetime.datetime(2020, 1, 2))}, [0]), ({"naive": np.datetime64("2020-01-03")}, [2]),
    ({"raw": b"\xff"}, [2]), ({"raw": ("<", b"b")}, [0, 3]), ({"t": (">", datetime.time(1))}, [2, 3]),
    ({"id": (">", 1.5)}, [1, 2]), ({"id": (">=", Decimal("2.5"))}, [2]), ({"id": 1.5}, []), ({"id": ("!=", 1.5)}, [0, 1, 2]),
    ({"id": 2**70}, []), ({"id": ("<", 2**63)}, [0, 1, 2]), ({"id": (">", -(10**5000))}, [0, 1, 2]),
    ({"id": ("between", (0.5, float("inf")))}, [0, 1, 2]), ({"id": ("in", [1.5, 2.0, 2**64])}, [1]), ({"id": float("nan")}, []),
    ({"d": ("<", 10**30)}, [0, 1, 3]), ({"d": ("<", Decimal("1E+5000"))}, [0, 1, 3]), ({"d": ("<", Decimal("1E-999999"))}, [1, 3]),
    ({"d": (">", Decimal("-1E+999999"))}, [0, 1, 3]), ({"d": (">", Decimal("-1E-999999"))}, [0, 3]),
    ({"day": ("<", datetime.datetime(2020, 1, 1, 12))}, [0]), ({"day": datetime.datetime(2020, 1, 1)}, [0]),
    ({"naive": (">=", datetime.date(2020, 1, 2))}, [2, 3]), ({"at": datetime.date(2020, 1, 1)}, [0]),
    ({"id": (">", 1), "name": ("is_null", True)}, [1]), ({"id": 1, "ok": False}, []), ({}, [0, 1, 2, 3]),
])
def test_matches(table, conditions, expected):
    assert rows_where(table, **conditions) == expected
    assert table.to_arrow(filter=conditions).num_rows == len(expected)
    assert sum(1 for _ in table.iter_records(filter=conditions, columns=["name"])) == len(expected)


@pytest.mark.parametrize("conditions, kind, message", [
    ({"id": None}, ValueError, "is_null"),
    ({"id": ("zz", 1)}, ValueError, "'zz'"),
    ({"id": ("", 1)}, ValueError, "operator"),
    ({"zz": 1}, pa.ArrowInvalid, "zz"),
    ({1: 1}, pa.ArrowInvalid, "1"),
    ({"id": "x"}, pa.ArrowNotImplementedError, "'x'"),
    ({"id": True}, pa.ArrowNotImplementedError, "long"),
    ({"name": 5}, pa.ArrowNotImplementedError, "string"),
    ({"id": [1, 2]}, pa.ArrowNotImplementedError, "'in'"),
    ({"id": ["==", 1]}, pa.ArrowNotImplementedError, "id"),
    ({"id": (">", 1, 2)}, pa.ArrowTypeError, "id"),
    ({"id": (">",)}, pa.ArrowNotImplementedError, "id"),
    ({"id": {"a": 1}}, pa.ArrowNotImplementedError, "id"),
    ({"id": object()}, pa.ArrowNotImplementedError, "object"),
    ({"id": ("in", 5)}, TypeError, "list"),
    ({"id": ("in", "12")}, pa.ArrowNotImplementedError, "list"),
    ({"id": ("in", [1, "x"])}, pa.ArrowInvalid, "'x'"),
    ({"id": ("between", 5)}, TypeError, "pair"), ({"name": ("between", "ab")}, ValueError, "pair"),
    ({"id": ("between", (1, 2, 3))}, ValueError, "pair"),
    ({"id": ("is_null", False)}, ValueError, "two ways"),
    ({"x": 2**70}, pa.ArrowNotImplementedError, "floating-point"),
    ({"d": Decimal("NaN")}, pa.ArrowNotImplementedError, "finite"),
    ({"d": 1.5}, pa.ArrowNotImplementedError, "decimal"),
    ({"at": datetime.datetime(2020, 1, 1)}, pa.ArrowNotImplementedError, "time zone"),
    ({"naive": datetime.datetime(2020, 1, 1, tzinfo=UTC)}, pa.ArrowNotImplementedError, "time zone"),
    ({"day": "2020-01-01"}, pa.ArrowNotImplementedError, "date"),
    ({"key": "nonsense"}, pa.ArrowNotImplementedError, "UUID"),
    ("id = 1", ValueError, "dict"),
    (["id"], ValueError, "dict"),
])
def test_refused(table, conditions, kind, message):
    for read in (table.scan, table.to_arrow, table.scan_batches, table.iter_records, table.iter_pandas):
        with pytest.raises(kind, match=message) as caught:
            read(filter=conditions)
        assert isinstance(caught.value, datashard.InvalidArgument)


def test_parse_filter_dict():
    assert parse_filter_dict({"a": 1, "b": (">", 2), "c": ("between", (1, 2)), "d": ("isnull", True)}) == [
        FilterExpression("a", FilterOp.EQ, 1), FilterExpression("b", FilterOp.GT, 2), FilterExpression("c", FilterOp.GE, 1),
        FilterExpression("c", FilterOp.LE, 2), FilterExpression("d", FilterOp.IS_NULL, True)]
    assert parse_filter_dict({}) == parse_filter_dict(None) == []
    assert [op.value for op in FilterOp] == ["==", "!=", "<", "<=", ">", ">=", "in", "not_in", "is_null", "is_not_null"]


def test_get_column_id_by_name(schema_of):
    schema = schema_of(a="long", b="string")
    assert get_column_id_by_name(schema, "b") == 2 and get_column_id_by_name(schema, "c") is None


OPERATORS = {"==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values=st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=12), cut=st.integers(0, 12),
       op=st.sampled_from(sorted(OPERATORS)), constant=st.integers(-6, 6))
def test_pruned_scans_equal_a_plain_filter(make, values, cut, op, constant):
    table = make(id="long")
    for part in (values[:cut], values[cut:]):
        table.append_records([{"id": value} for value in part])
    expected = [v for v in values if v is not None and OPERATORS[op](v, constant)]
    assert [r["id"] for r in table.scan(filter={"id": (op, constant)})] == expected
