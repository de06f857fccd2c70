"""Encodings, strategies, routing values, boundaries, and the two uses of ShardingSpec."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardyfusion import (CelShardingSpec, ConfigValidationError, HashShardingSpec, KeyEncoding, ShardAssignmentError, ShardHashAlgorithm,
                          ShardingSpec, ShardingStrategy)
from shardyfusion.sharding_types import DB_ID_COL, validate_boundaries, validate_routing_values


@pytest.mark.parametrize("kind", [KeyEncoding, ShardingStrategy, ShardHashAlgorithm])
def test_every_member_is_found_by_its_name_and_a_wrong_name_is_told_all_of_them(kind):
    for member in kind:
        assert kind.from_value(member.value) is member and kind.from_value(member) is member and member == member.value
    with pytest.raises(ValueError, match="'md5'") as refused:
        kind.from_value("md5")
    assert all(repr(member.value) in str(refused.value) for member in kind)


@given(st.one_of(st.lists(st.integers()), st.lists(st.text()), st.lists(st.binary())))
def test_values_of_one_type_are_routing_values_unless_one_is_there_twice(values):
    validate_routing_values(values, require_unique=False)
    if len(set(values)) == len(values):
        validate_routing_values(values)
    else:
        with pytest.raises(ConfigValidationError, match="twice"):
            validate_routing_values(values)


@pytest.mark.parametrize(("values", "said"), [
    ([None], "None"), ([True], "True"), ([1.5], "1.5"), ([1, "a"], "first is int"), (["a", b"a"], "first is str"), ([1, 2, 1], "1 is there twice"),
    ([[1]], r"\[1\]"),
])
def test_other_routing_values_are_refused_by_name(values, said):
    with pytest.raises(ConfigValidationError, match=said):
        validate_routing_values(values)


@pytest.mark.parametrize("boundaries", [[], [10, 20], [-(2**63), 2**63 - 1], ["", "a", "b"], [0.5, 1e300]])
def test_ascending_boundaries_of_one_type_are_good(boundaries):
    validate_boundaries(boundaries, num_dbs=len(boundaries) + 1)


@pytest.mark.parametrize(("boundaries", "said"), [
    ([1, 1], "1 is followed by 1"), ([2, 1], "2 is followed by 1"), ([1, "a"], "'a'"), ([True, 2], "True"), ([None], "None"),
    ([float("nan")], "nan"), ([1.0, float("inf")], "inf"), ([2**63], "64 bits"), ([b"a"], "b'a'"), ([1, 2, 3], "3 shards have 2"),
])
def test_other_boundaries_are_refused(boundaries, said):
    with pytest.raises(ShardAssignmentError, match=said):
        validate_boundaries(boundaries, num_dbs=3 if "shards" in said else None)


def test_a_spec_of_the_hash_enters_the_manifest_with_all_five_members():
    expected = {"strategy": "hash", "hash_algorithm": "xxh3_64", "routing_values": None, "cel_expr": None, "cel_columns": None}
    assert ShardingSpec().to_manifest_dict() == expected == HashShardingSpec(max_keys_per_shard=5).to_manifest_dict()
    cel = CelShardingSpec(cel_expr="region", cel_columns={"region": "string"}, routing_values=["eu", "us"])
    assert cel.to_manifest_dict() == {"strategy": "cel", "hash_algorithm": "xxh3_64", "routing_values": ["eu", "us"],
                                      "cel_expr": "region", "cel_columns": {"region": "string"}}
    assert (cel.strategy, cel.boundaries, HashShardingSpec().strategy) == (ShardingStrategy.CEL, None, ShardingStrategy.HASH)


def test_one_class_describes_ranges_and_expressions_of_the_users_own():
    ranges = ShardingSpec(ShardingStrategy.RANGE, [10, 20])
    assert (ranges.strategy, ranges.boundaries) == (ShardingStrategy.RANGE, [10, 20])
    assert ShardingSpec("range").boundaries is None and ShardingSpec("custom_expr", custom_expr="id % 4").custom_expr == "id % 4"
    assert ranges == ShardingSpec("range", boundaries=[10, 20]) != ShardingSpec("range")
    assert pickle.loads(pickle.dumps(ranges)) == ranges and "boundaries=[10, 20]" in repr(ranges)
    with pytest.raises(ConfigValidationError, match="'range' enters a manifest as"):
        ranges.to_manifest_dict()


@pytest.mark.parametrize("wrong", [
    {"strategy": "hash", "boundaries": [1]}, {"strategy": "hash", "custom_expr": "1"}, {"strategy": "modulo"},
    {"strategy": "range", "approx_quantile_rel_error": 1.0}, {"strategy": "range", "custom_column_builder": len},
    {"strategy": "custom_expr", "custom_expr": "1", "custom_column_builder": len},
])
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(ConfigValidationError):
        ShardingSpec(**wrong)


def test_the_temporary_column_has_the_name_that_programs_know():
    assert DB_ID_COL == "_shard_id"
