"""Keys compare with keys of their own type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion.ordering import compare_ordered

ORDERED = st.one_of(st.tuples(st.integers(), st.integers()), st.tuples(st.text(), st.text()), st.tuples(st.binary(), st.binary()))


@given(ORDERED)
def test_values_of_one_type_have_an_order(pair):
    left, right = pair
    assert compare_ordered(left, right, mismatch_message="x") == (left > right) - (left < right)
    assert compare_ordered(left, right, mismatch_message="x") == -compare_ordered(right, left, mismatch_message="x")


@pytest.mark.parametrize(("left", "right"), [(1, "1"), ("a", b"a"), (None, None), (1, None), ([1], [2])])
def test_values_of_different_types_have_none(left, right):
    with pytest.raises(ValueError, match="^keys of shard 3$"):
        compare_ordered(left, right, mismatch_message="keys of shard 3")
