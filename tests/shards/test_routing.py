"""Routing and CEL: the same shard for a key in the core, in Python, and where another compiler evaluates the expression."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshot_values import build_meta, shard_meta

from shardyfusion import ConfigValidationError, ShardAssignmentError
from shardyfusion.cel import (CelColumn, CelType, CompiledCel, UnknownRoutingTokenError, _foreign_env, build_categorical_routing_lookup,
                              cel_sharding, cel_sharding_by_columns, compile_cel, compile_cel_cached, evaluate_cel_arrow_batch,
                              pandas_rows_to_contexts, resolve_cel_routing_key, route_cel, route_cel_batch, shard_of_written_row,
                              validate_cel_columns)
from shardyfusion.routing import (SnapshotRouter, canonical_bytes, hash_db_id, hash_digest, make_hash_router, xxh3_db_id, xxh3_digest)

VECTORS = {0: 14374147212387527897, 1: 3439722301264460078, -1: 5841669975847748627, 42: 15395265915043915720,
           2**63 - 1: 11687913294787043142, -(2**63): 9407778237848358495, "": 3244421341483603138, b"": 3244421341483603138,
           "a": 16629034431890738719, b"a": 16629034431890738719, "h\u00e9llo": 7657728615535385375, b"\x00\xff": 12221366661834116083}


@pytest.mark.parametrize(("key", "digest"), VECTORS.items())
def test_the_hash_is_the_one_of_the_format(key, digest):
    assert xxh3_digest(key) == hash_digest(key) == digest
    assert hash_db_id(key, 7) == xxh3_db_id(key, 7) == make_hash_router(7)(key) == digest % 7


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1, None, 1.5])
def test_what_cannot_be_hashed_is_a_value_error(key):
    with pytest.raises(ValueError):
        xxh3_digest(key)
    with pytest.raises(ValueError):
        canonical_bytes(key)


def test_a_router_of_one_type_refuses_others():
    route = make_hash_router(4, key_type="int")
    assert route(5) == xxh3_db_id(5, 4)
    with pytest.raises(ValueError, match="int"):
        route("5")
    with pytest.raises(ValueError):
        make_hash_router(0)
    with pytest.raises(ValueError, match="xxh3_64"):
        make_hash_router(2, "md5")


def test_a_snapshot_s_router_knows_all_its_shards():
    router = SnapshotRouter(build_meta(num_dbs=3), [shard_meta(1)])
    assert [router.get_shard(db_id).row_count for db_id in range(3)] == [0, 2, 0] and not router.is_lazy
    assert router.route_one(42) == router.route(42) == xxh3_db_id(42, 3)
    assert router.encode_lookup_key(42) == router.encode_lookup_key(bytes(7) + b"*") == bytes(7) + b"*"
    assert router.route_one(bytes(7) + b"*") == router.route_one(42)
    groups = router.group_keys([1, 2, 3, 42])
    assert sorted(key for members in groups.values() for key in members) == [1, 2, 3, 42]
    assert all(router.route_one(key) == db_id for db_id, members in groups.items() for key in members)
    with pytest.raises(ValueError, match="8 bytes"):
        router.route_one(b"short")
    with pytest.raises(IndexError):
        router.get_shard(3)


def test_a_lazy_router_asks_for_shards():
    class Lookup:
        asked: list[int] = []

        def get_shard(self, db_id):
            self.asked.append(db_id)
            return shard_meta(db_id)

    router = SnapshotRouter.from_build_meta(build_meta(num_dbs=3), shard_lookup=Lookup())
    assert router.is_lazy and router.get_shard(2).db_id == 2 and Lookup.asked == [2]
    assert router.route_one(42) == xxh3_db_id(42, 3)


def regions():
    return SnapshotRouter(build_meta(num_dbs=2, strategy="cel", cel_expr="region", cel_columns={"region": "string"},
                                     routing_values=["eu", "us"]), [])


def test_columns_are_routed_by_context():
    router = regions()
    assert router.route(1, routing_context={"region": "us"}) == router.route_with_context({"region": "us"}) == 1
    with pytest.raises(UnknownRoutingTokenError):
        router.route_with_context({"region": "mars"})
    with pytest.raises(ValueError, match="region"):
        router.route_one(1)
    assert router.group_keys_allow_missing([1, 2], routing_context={"region": "mars"}) == ({}, [1, 2])
    assert router.group_keys_allow_missing([1, 2], routing_context={"region": "eu"}) == ({0: [1, 2]}, [])


def test_a_rule_of_the_other_compiler_routes():
    router = SnapshotRouter(build_meta(num_dbs=2, strategy="cel", cel_expr="key.matches('^a') ? 1 : 0", cel_columns={"key": "string"},
                                       key_encoding="utf8"), [])
    assert router.route_one("abc") == 1 and router.route_one("x") == 0
    outside = SnapshotRouter(build_meta(num_dbs=1, strategy="cel", cel_expr="key.matches('^a') ? 1 : 0", cel_columns={"key": "string"},
                                        key_encoding="utf8"), [])
    with pytest.raises(ValueError, match="shard 1"):
        outside.route_one("abc")


EXPRESSIONS = [("shard_hash(key) % 7u", {"key": "int"}), ("key < 10 ? 0 : (key < 20 ? 1 : 2)", {"key": "int"}),
               ("(key + 3) * 2 - key", {"key": "int"}), ("string(key)", {"key": "int"})]


@pytest.mark.parametrize(("expr", "columns"), EXPRESSIONS)
@given(key=st.integers(-(2**31), 2**31))
def test_both_compilers_agree_on_numbers(expr, columns, key):
    ours, theirs = compile_cel_cached(expr, tuple(columns.items())), CompiledCel(_foreign_env(columns), expr, columns)
    assert ours.evaluate({"key": key}) == theirs.evaluate({"key": key})


# Without NUL, behind which cel-expr-python hands no text to functions.
@given(first=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20), second=st.integers(-1000, 1000))
def test_both_compilers_agree_on_text(first, second):
    columns = {"first": "string", "second": "int"}
    expr = cel_sharding_by_columns(CelColumn("first"), CelColumn("second", CelType.INT), num_shards=5).cel_expr
    ours, theirs = compile_cel(expr, columns), CompiledCel(_foreign_env(columns), expr, columns)
    context = {"first": first, "second": second}
    assert ours.evaluate(context) == theirs.evaluate(context)


def test_a_compiled_expression_describes_itself():
    compiled = compile_cel("a + b", {"a": "string", "b": "string"})
    assert compiled.columns == {"a": "string", "b": "string"} and compiled.columns_list == ["a", "b"]
    assert compiled.evaluate({"a": "x", "b": "y", "more": 1}) == "xy"
    with pytest.raises(ConfigValidationError, match="'b' are missing"):
        compiled.evaluate({"a": "x"})
    with pytest.raises(ConfigValidationError):
        compiled.evaluate({"a": "x", "b": 1})


@pytest.mark.parametrize("expr", ["a +", "nothing", "a == a", "1.5"])
def test_what_cannot_route_is_refused(expr):
    with pytest.raises(ConfigValidationError):
        compile_cel(expr, {"a": "int"}).evaluate({"a": 1})
    with pytest.raises(ConfigValidationError):
        compile_cel("a", {})


def test_values_become_shards():
    assert resolve_cel_routing_key(3) == 3 and resolve_cel_routing_key("b", routing_values=["a", "b"]) == 1
    assert build_categorical_routing_lookup([b"x", b"y"]) == {b"x": 0, b"y": 1}
    with pytest.raises(UnknownRoutingTokenError):
        resolve_cel_routing_key("c", routing_values=["a", "b"])
    for value in ("text", -1):
        with pytest.raises(ConfigValidationError):
            resolve_cel_routing_key(value)
    compiled = compile_cel("a", {"a": "string"})
    assert route_cel(compiled, {"a": "y"}, ["x", "y"]) == 1
    with pytest.raises(ShardAssignmentError):
        shard_of_written_row(compiled, {"a": "z"}, {"x": 0})


def test_rules_by_columns():
    one = cel_sharding_by_columns("region", num_shards=4)
    assert (one.cel_expr, one.cel_columns) == ("shard_hash(region) % 4u", {"region": "string"})
    many = cel_sharding_by_columns(CelColumn("region"), CelColumn("tier", CelType.INT), separator="|")
    assert many.cel_expr == 'region + "|" + string(tier)' and many.infer_routing_values_from_data
    assert cel_sharding_by_columns(CelColumn("x", CelType.DOUBLE), num_shards=2).cel_expr == "shard_hash(string(x)) % 2u"
    spec = cel_sharding("region", {"region": CelType.STRING}, routing_values=["a"])
    assert spec.cel_columns == {"region": "string"} and spec.routing_values == ["a"]
    for call in (lambda: cel_sharding_by_columns(), lambda: cel_sharding_by_columns("a", num_shards=0)):
        with pytest.raises(ConfigValidationError):
            call()


def test_batches_and_frames():
    pa, pandas = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    batch = pa.record_batch({"a": ["x", "y"], "b": [1, 2]})
    compiled = compile_cel("a", {"a": "string"})
    assert evaluate_cel_arrow_batch(compiled, batch) == ["x", "y"] and route_cel_batch(compiled, batch, ["y", "x"]) == [1, 0]
    assert pandas_rows_to_contexts(pandas.DataFrame({"a": ["x"], "b": [1]}), {"b": "int"}) == [{"b": 1}]
    with pytest.raises(ConfigValidationError, match="'c'"):
        pandas_rows_to_contexts(pandas.DataFrame({"a": ["x"]}), {"c": "int"})
    with pytest.raises(ConfigValidationError, match="'c'"):
        validate_cel_columns(batch.schema, {"c": "int"})
